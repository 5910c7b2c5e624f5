// @ts-check
// The shapes that the files of this page share, as the server's API has them.

/**
 * A point of a stroke: x, y and the pen's pressure, in pixels of the paper.
 * @typedef {[number, number, number]} Point
 *
 * @typedef {Point[]} Stroke
 *
 * @typedef {object} Guess
 * @property {string} text
 * @property {number} probability its neighbours considered
 * @property {number} alone by its shape alone
 *
 * @typedef {object} Letter
 * @property {string} text
 * @property {[number, number, number, number]} box left, top, right, bottom
 * @property {number[]} strokes
 * @property {number} line
 * @property {number} word
 * @property {Guess[]} top
 * @property {string[]} look_alikes
 * @property {string} image bytes of 28 by 28 pixels, in base64
 * @property {string} [saliency] as many signed bytes, in base64
 *
 * @typedef {object} Answer
 * @property {string} text
 * @property {boolean} blank
 * @property {string} model
 * @property {Letter[]} characters
 * @property {number} took_ms
 *
 * @typedef {object} Measurement
 * @property {string} on
 * @property {number} images
 * @property {number} accuracy
 * @property {number} accuracy_f32
 * @property {number} calibration_error
 *
 * @typedef {object} Card
 * @property {string} name
 * @property {string} title
 * @property {string[]} classes
 * @property {string} trained_on
 * @property {string} command
 * @property {Measurement[]} measured
 *
 * @typedef {object} Reader
 * @property {string} where in words, who reads
 * @property {Card[]} cards
 * @property {(model: string, strokes: Stroke[], signal: AbortSignal) => Promise<Answer>} read
 */

export {};
