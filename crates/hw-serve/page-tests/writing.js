// @ts-check
// The strokes of fixtures/serve/strokes.txt, as a hand would move.

import { readFileSync } from "node:fs";

/** @typedef {[number, number]} Place */

const FIXTURE = new URL("../../../fixtures/serve/strokes.txt", import.meta.url);

/** Every character with its strokes. @type {Map<string, Place[][]>} */
export const CHARACTERS = new Map(
  readFileSync(FIXTURE, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [name = "", ...rest] = line.split(" ");
      return [name, rest.join(" ").split("|").map(stroke)];
    }),
);

/**
 * Places along the smooth curve through the points that `text` names.
 * @param {string} text
 * @returns {Place[]}
 */
function stroke(text) {
  const knots = text
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [x = 0, y = 0] = word.replace("!", "").split(",").map(Number);
      return { x, y, corner: word.endsWith("!") };
    });
  /** @type {Place[]} */
  const places = [];
  knots.slice(1).forEach((to, index) => {
    const from = knots[index] ?? to;
    const before = from.corner ? from : (knots[index - 1] ?? from);
    const after = to.corner ? to : (knots[index + 2] ?? to);
    for (let step = 0; step < 6; step += 1) {
      const bend = (/** @type {"x" | "y"} */ axis) =>
        catmullRom(before[axis], from[axis], to[axis], after[axis], step / 6);
      places.push([bend("x"), bend("y")]);
    }
  });
  const last = knots.at(-1);
  if (last) places.push([last.x, last.y]);
  return places;
}

/**
 * @param {number} a
 * @param {number} b
 * @param {number} c
 * @param {number} d
 * @param {number} t
 */
function catmullRom(a, b, c, d, t) {
  return 0.5 * (2 * b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))));
}

/**
 * The strokes of a text from left to right, a capital `size` high, beginning at (`left`, `top`).
 * @param {string} text
 * @param {number} size
 * @param {number} left
 * @param {number} top
 * @returns {Place[][]}
 */
export function written(text, size, left, top) {
  let at = left;
  /** @type {Place[][]} */
  const strokes = [];
  for (const character of text) {
    const own = CHARACTERS.get(character);
    if (!own) {
      at += 0.7 * size;
      continue;
    }
    const xs = own.flat().map(([x]) => x);
    const [low, high] = [Math.min(...xs), Math.max(...xs)];
    for (const places of own) {
      strokes.push(places.map(([x, y]) => [at + ((x - low) * size) / 100, top + (y * size) / 100]));
    }
    at += ((high - low) * size) / 100 + 0.2 * size;
  }
  return strokes;
}
