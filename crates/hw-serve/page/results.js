// @ts-check
// What was read, shown: the text, and a closer look at one of its characters.

/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").Letter} Letter */
/** @typedef {import("./types.js").Card} Card */

/** Less sure than this is underlined. */
const UNSURE = 0.75;

/**
 * The element of that id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page lacks #${id}`);
}

/** @param {number} share */
const percent = (share) => (share >= 0.9995 ? "100 %" : `${(share * 100).toFixed(1)} %`);

/**
 * The text as buttons, one a character.
 * @param {HTMLElement} place
 * @param {Answer} answer
 * @param {(letter: Letter) => string} shown what stands for it: the answer, or what was picked
 * @param {number} chosen
 * @param {(index: number) => void} choose
 */
export function showText(place, answer, shown, chosen, choose) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  answer.characters.forEach((letter, index) => {
    const before = answer.characters[index - 1];
    if (before && before.line !== letter.line) nodes.push("\n");
    else if (before && before.word !== letter.word) nodes.push(" ");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = shown(letter);
    const picked = button.textContent !== letter.text;
    const sure = letter.top[0]?.probability ?? 0;
    button.classList.toggle("picked", picked);
    button.classList.toggle("unsure", !picked && sure < UNSURE);
    button.setAttribute("aria-pressed", String(index === chosen));
    button.title = picked ? "picked by you" : `${percent(sure)} sure`;
    button.addEventListener("click", () => choose(index));
    nodes.push(button);
  });
  place.replaceChildren(...nodes);
}

/**
 * A closer look at one character.
 * @param {Letter} letter
 * @param {string} shown
 * @param {(text: string) => void} pick
 */
export function showLetter(letter, shown, pick) {
  const image = decode(letter.image);
  paint(element("saw", HTMLCanvasElement), (index) => {
    const value = image[index] ?? 0;
    return [value, value, value];
  });
  const spoke = letter.saliency ? decode(letter.saliency) : null;
  const why = element("why", HTMLCanvasElement);
  why.parentElement?.toggleAttribute("hidden", !spoke);
  element("why-what", HTMLElement).textContent = letter.text;
  if (spoke) {
    const soft = softened(Array.from(spoke, (byte) => (byte << 24) >> 24));
    const most = Math.max(1, ...soft.map(Math.abs));
    paint(why, (index) => {
      const ground = 0.3 * (image[index] ?? 0);
      const signed = ((soft[index] ?? 0) / most) * ((image[index] ?? 0) / 255);
      // The root lifts what is weak enough to be overlooked.
      const part = Math.sqrt(Math.abs(signed));
      const [r, g, b] = signed > 0 ? [255, 140, 50] : [70, 160, 255];
      return [ground + (r - ground) * part, ground + (g - ground) * part, ground + (b - ground) * part];
    });
  }
  const candidates = letter.top.map((guess) => {
    const item = document.createElement("li");
    const button = choice(guess.text, guess.text === shown, pick);
    const share = document.createElement("span");
    share.className = "share";
    share.style.width = `${guess.probability * 100}%`;
    const name = document.createElement("b");
    name.textContent = guess.text;
    const number = document.createElement("small");
    number.textContent = percent(guess.probability);
    if (Math.abs(guess.alone - guess.probability) > 0.02) {
      button.title = `${percent(guess.alone)} by its shape alone; the neighbours changed that`;
    }
    button.replaceChildren(share, name, number);
    item.append(button);
    return item;
  });
  element("candidates", HTMLOListElement).replaceChildren(...candidates);
  const alike = letter.look_alikes.map((text) => choice(text, text === shown, pick));
  element("alike-block", HTMLElement).hidden = alike.length === 0;
  element("alike", HTMLElement).replaceChildren(...alike);
}

/**
 * @param {string} text
 * @param {boolean} pressed
 * @param {(text: string) => void} pick
 */
function choice(text, pressed, pick) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.setAttribute("aria-pressed", String(pressed));
  button.addEventListener("click", () => pick(text));
  return button;
}

/**
 * What to know of the model.
 * @param {Card} card
 */
export function showCard(card) {
  element("about-name", HTMLElement).textContent = `About this model: ${card.title}`;
  element("about-trained", HTMLElement).textContent = `Learned from ${card.trained_on}.`;
  const rows = card.measured.map((measured) => {
    const row = document.createElement("tr");
    for (const text of [measured.on, measured.images.toLocaleString("en"), percent(measured.accuracy)]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  });
  element("about-measured", HTMLElement).replaceChildren(...rows);
  const command = document.createElement("code");
  command.textContent = card.command;
  element("about-command", HTMLElement).replaceChildren("Made by ", command);
}

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
function decode(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * Each pixel with its neighbours: single ones mean little, a stretch of stroke does.
 * @param {number[]} values 28 by 28
 */
function softened(values) {
  return values.map((_, index) => {
    let sum = 0;
    for (let dy = -1; dy <= 1; dy += 1) {
      for (let dx = -1; dx <= 1; dx += 1) {
        const [x, y] = [(index % 28) + dx, Math.floor(index / 28) + dy];
        const inside = x >= 0 && x < 28 && y >= 0 && y < 28;
        if (inside) sum += (values[28 * y + x] ?? 0) * (2 - Math.abs(dx)) * (2 - Math.abs(dy));
      }
    }
    return sum / 16;
  });
}

/**
 * Fills a 28x28 canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {(index: number) => number[]} colour
 */
function paint(canvas, colour) {
  const context = canvas.getContext("2d");
  if (!context) return;
  const pixels = context.createImageData(28, 28);
  for (let index = 0; index < 784; index += 1) pixels.data.set([...colour(index), 255], 4 * index);
  context.putImageData(pixels, 0, 0);
}
