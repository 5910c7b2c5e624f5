// @ts-check
// Reading in the page alone: the recogniser compiled to WebAssembly, and the models beside it.

/** @typedef {import("./types.js").Reader} Reader */
/** @typedef {import("./types.js").Card} Card */
/** @typedef {import("./types.js").Answer} Answer */

/**
 * What the module exports: see crates/hw-wasm.
 * @typedef {object} Exports
 * @property {WebAssembly.Memory} memory
 * @property {(length: number) => number} hw_alloc
 * @property {(address: number, length: number) => void} hw_free
 * @property {(address: number, length: number) => number} hw_load
 * @property {(address: number, length: number) => number} hw_recognise
 */

/** The models beside this file, the one to start with first. */
const MODELS = ["all", "letters", "digits", "hiragana"];

/**
 * @param {URL | string} place
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function bytes(place) {
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${place} is missing (status ${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @returns {Promise<Reader>} */
export async function inPage() {
  const module = await WebAssembly.compile(await bytes("hw.wasm"));
  const { exports } = await WebAssembly.instantiate(module);
  const wasm = /** @type {Exports} */ (/** @type {unknown} */ (exports));
  /** @type {Card[]} */
  const cards = [];
  for (const name of MODELS) {
    cards.push(ask(wasm, wasm.hw_load, await bytes(`models/${name}.safetensors`)));
  }
  return {
    where: "Read by WebAssembly in this page; nothing leaves it.",
    cards,
    async read(model, strokes) {
      const request = new TextEncoder().encode(JSON.stringify({ model, strokes, explain: true }));
      const started = performance.now();
      /** @type {Answer} */
      const answer = ask(wasm, wasm.hw_recognise, request);
      answer.took_ms = performance.now() - started;
      return answer;
    },
  };
}

/**
 * Calls `what` with some bytes. It answers with the address of a length and so many bytes of JSON.
 * @param {Exports} wasm
 * @param {(address: number, length: number) => number} what
 * @param {Uint8Array} input
 */
function ask(wasm, what, input) {
  const place = wasm.hw_alloc(input.length);
  new Uint8Array(wasm.memory.buffer, place, input.length).set(input);
  const answer = what(place, input.length);
  wasm.hw_free(place, input.length);
  const length = new DataView(wasm.memory.buffer).getUint32(answer, true);
  const text = new TextDecoder().decode(new Uint8Array(wasm.memory.buffer, answer + 4, length));
  wasm.hw_free(answer, length + 4);
  const value = JSON.parse(text);
  if (value.error) throw new Error(value.error);
  return value;
}
