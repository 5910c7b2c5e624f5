// @ts-check
// The page: what is written goes to the reader, what was read is shown.

import { Paper } from "./paper.js";
import { findReader } from "./reader.js";
import { element, showCard, showLetter, showText } from "./results.js";

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Letter} Letter */
/** @typedef {import("./types.js").Reader} Reader */

const paper = new Paper(element("paper", HTMLCanvasElement));
const undo = element("undo", HTMLButtonElement);
const redo = element("redo", HTMLButtonElement);
const clear = element("clear", HTMLButtonElement);
const copy = element("copy", HTMLButtonElement);

/** @type {Reader | null} */
let reader = null;
let model = "";
/** @type {Answer | null} */
let answer = null;
/** Which character is looked at closely. */
let chosen = -1;
/** What was picked instead of the answer, by the character's strokes. @type {Map<string, string>} */
const picks = new Map();
let asked = new AbortController();

/** Names the strokes of a character, whatever their place in the list. @param {Letter} letter */
function key(letter) {
  return letter.strokes.map((index) => JSON.stringify(paper.strokes[index])).join();
}

/** @param {Letter} letter */
const shown = (letter) => picks.get(key(letter)) ?? letter.text;

async function read() {
  buttons();
  asked.abort();
  if (paper.strokes.length === 0) {
    show({ text: "", blank: true, model, characters: [], took_ms: 0 }, 0);
    return;
  }
  if (!reader) return;
  asked = new AbortController();
  const { signal } = asked;
  const { strokes } = paper;
  try {
    const found = await reader.read(model, strokes, signal);
    if (!signal.aborted) show(found, strokes.length);
  } catch (error) {
    if (!signal.aborted) trouble(error);
  }
}

/**
 * @param {Answer} found
 * @param {number} strokes how many it was found in
 */
function show(found, strokes) {
  answer = found;
  chosen = found.characters.length - 1;
  element("trouble", HTMLElement).hidden = true;
  const { took_ms: took } = found;
  element("took", HTMLElement).textContent = found.blank ? "" : `read in ${took.toFixed(1)} ms`;
  element("hint", HTMLElement).hidden = paper.strokes.length > 0;
  refresh();
  // How many strokes the text answers for: fewer than there are while the reader is at work.
  element("text", HTMLElement).dataset["strokes"] = String(strokes);
  const said = text();
  element("spoken", HTMLElement).textContent = said === "" ? "The page is blank" : `Reads ${said}`;
}

/** The text as picked. */
function text() {
  const characters = answer?.characters ?? [];
  return characters
    .map((letter, index) => {
      const before = characters[index - 1];
      const gap = !before ? "" : before.line !== letter.line ? "\n" : before.word !== letter.word ? " " : "";
      return gap + shown(letter);
    })
    .join("");
}

function refresh() {
  if (!answer) return;
  showText(element("text", HTMLOutputElement), answer, shown, chosen, choose);
  copy.disabled = answer.blank;
  const letter = answer.characters[chosen] ?? null;
  element("details", HTMLElement).hidden = !letter;
  element("nothing", HTMLElement).hidden = letter !== null;
  paper.mark(answer.characters.length > 1 ? letter : null);
  if (letter) showLetter(letter, shown(letter), pick);
}

/** @param {number} index */
function choose(index) {
  chosen = index;
  refresh();
  const again = element("text", HTMLOutputElement).querySelectorAll("button")[index];
  if (again instanceof HTMLElement) again.focus();
}

/** @param {string} picked */
function pick(picked) {
  const letter = answer?.characters[chosen];
  if (!letter) return;
  if (picked === letter.text) picks.delete(key(letter));
  else picks.set(key(letter), picked);
  refresh();
  element("spoken", HTMLElement).textContent = `Reads ${text()}`;
}

/** @param {unknown} error */
function trouble(error) {
  const place = element("trouble", HTMLElement);
  place.textContent = error instanceof Error ? error.message : String(error);
  place.hidden = false;
}

function buttons() {
  undo.disabled = paper.past.length === 0;
  redo.disabled = paper.future.length === 0;
  clear.disabled = paper.strokes.length === 0;
  if (paper.strokes.length > 0) element("hint", HTMLElement).hidden = true;
}

/** One button for each model. */
function offerModels() {
  if (!reader) return;
  const labels = reader.cards.map((card, index) => {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "model";
    input.value = card.name;
    input.checked = index === 0;
    input.addEventListener("change", () => useModel(card.name));
    const name = document.createElement("span");
    name.textContent = short(card.title);
    label.append(input, name);
    return label;
  });
  element("models", HTMLFieldSetElement).append(...labels);
  useModel(reader.cards[0]?.name ?? "");
}

/** What fits on a button. @param {string} title */
const short = (title) => title.split(/[,:]/)[0] ?? title;

/** @param {string} name */
function useModel(name) {
  model = name;
  const card = reader?.cards.find((one) => one.name === name);
  if (card) showCard(card);
  void read();
}

/** @param {KeyboardEvent} event */
function shortcut(event) {
  const command = event.ctrlKey || event.metaKey;
  const pressed = event.key.toLowerCase();
  if (command && pressed === "z") event.shiftKey ? paper.redo() : paper.undo();
  else if (command && pressed === "y") paper.redo();
  else if (!command && (event.key === "Delete" || event.key === "Escape")) paper.clear();
  else return;
  event.preventDefault();
}

function theme() {
  const button = element("theme", HTMLButtonElement);
  const wanted = window.matchMedia("(prefers-color-scheme: dark)");
  const remembered = localStorage.getItem("theme");
  const set = (/** @type {boolean} */ dark) => {
    document.documentElement.classList.toggle("dark", dark);
    button.setAttribute("aria-pressed", String(dark));
    paper.draw();
  };
  set(remembered ? remembered === "dark" : wanted.matches);
  wanted.addEventListener("change", () => localStorage.getItem("theme") ?? set(wanted.matches));
  button.addEventListener("click", () => {
    const dark = !document.documentElement.classList.contains("dark");
    localStorage.setItem("theme", dark ? "dark" : "light");
    set(dark);
  });
}

paper.changed = () => void read();
paper.tapped = (/** @type {number} */ x, /** @type {number} */ y) => {
  const inside = (/** @type {Letter} */ { box: [left, top, right, bottom] }) =>
    x >= left - 6 && x <= right + 6 && y >= top - 6 && y <= bottom + 6;
  const index = answer?.characters.findIndex(inside) ?? -1;
  if (index >= 0) {
    chosen = index;
    refresh();
  }
};
undo.addEventListener("click", () => paper.undo());
redo.addEventListener("click", () => paper.redo());
clear.addEventListener("click", () => paper.clear());
copy.addEventListener("click", () => {
  navigator.clipboard.writeText(text()).then(
    () => (element("spoken", HTMLElement).textContent = "Copied"),
    trouble,
  );
});
document.addEventListener("keydown", shortcut);
theme();

try {
  reader = await findReader();
  element("where", HTMLElement).textContent = reader.where;
  offerModels();
} catch (error) {
  trouble(error);
}
