// @ts-check
// The page in a real browser: with the server, and alone with WebAssembly.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { choose, draw, open, settled, startBrowser, startFolder, startServer, text } from "./stage.js";
import { CHARACTERS, written } from "./writing.js";

/** @typedef {Awaited<ReturnType<typeof startServer>>} Host */

/** @type {Host} */
let server;
/** @type {Host} */
let folder;
/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  [server, folder, browser] = await Promise.all([startServer(), startFolder(), startBrowser()]);
});

after(async () => {
  await browser?.close();
  await Promise.all([server?.stop(), folder?.stop()]);
});

/**
 * Keeps a picture where $HW_SCREENSHOTS says.
 * @param {import("playwright-core").Page} page
 * @param {string} name
 */
async function picture(page, name) {
  const place = process.env["HW_SCREENSHOTS"];
  if (!place) return;
  mkdirSync(place, { recursive: true });
  await page.screenshot({ path: join(place, `${name}.png`) });
}

/**
 * What each character is read as, one at a time.
 * @param {import("playwright-core").Page} page
 * @param {string} characters
 */
async function readEach(page, characters) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const character of characters) {
    await draw(page, written(character, 130, 200, 60));
    found[character] = await text(page);
    await page.locator("#clear").click();
    await settled(page, 0);
  }
  return found;
}

const DIGITS = "0123456789";
const CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const HIRAGANA = "おきすつなはまやれを";

for (const host of ["server", "folder"]) {
  const address = () => (host === "server" ? server.address : folder.address);

  describe(`with the ${host}`, () => {
    test("every digit that is drawn is read", async () => {
      const { page, problems } = await open(browser, address());
      await choose(page, "digits");
      const found = await readEach(page, DIGITS);
      assert.deepEqual(found, Object.fromEntries([...DIGITS].map((one) => [one, one])));
      // Without a server, the browser reports the address that did not answer: nothing else.
      assert.deepEqual(problems.filter((problem) => !problem.includes("404")), []);
      await page.context().close();
    });

    test("every letter and hiragana that is drawn is read", async () => {
      const { page } = await open(browser, address());
      await choose(page, "letters");
      const letters = await readEach(page, CAPITALS);
      assert.deepEqual(letters, Object.fromEntries([...CAPITALS].map((one) => [one, one])));
      await choose(page, "hiragana");
      const hiragana = await readEach(page, HIRAGANA);
      assert.deepEqual(hiragana, Object.fromEntries([...HIRAGANA].map((one) => [one, one])));
      await page.context().close();
    });

    test("a word grows as it is written and says where it was read", async () => {
      const { page } = await open(browser, address());
      await draw(page, written("Hel", 130, 90, 70));
      assert.equal(await text(page), "Hel");
      await page.locator("#clear").click();
      await settled(page, 0);
      await draw(page, written("Hello 42", 110, 60, 80));
      assert.equal(await text(page), "Hello 42");
      const where = await page.locator("#where").textContent();
      assert.match(where ?? "", host === "server" ? /server/ : /WebAssembly/);
      await picture(page, `word-${host}`);
      await page.context().close();
    });
  });
}

test("the server and WebAssembly answer alike, to the last digit", async () => {
  const with_server = await open(browser, server.address);
  const alone = await open(browser, folder.address);
  const words = ["cat", "Hello", "2026", "はな"];
  const requests = [...CHARACTERS.keys(), ...words].map((word) => ({
    word,
    strokes: written(word, 90, 40, 40).map((stroke) => stroke.map(([x, y]) => [x, y, 0.5])),
  }));
  /** @param {import("playwright-core").Page} page */
  const answers = (page) =>
    page.evaluate(async (requests) => {
      const { findReader } = await import(new URL("reader.js", location.href).href);
      const reader = await findReader();
      const answers = [];
      for (const { word, strokes } of requests) {
        for (const card of reader.cards) {
          const answer = await reader.read(card.name, strokes, new AbortController().signal);
          answers.push({ word, ...answer, took_ms: 0 });
        }
      }
      return { cards: reader.cards, answers };
    }, requests);
  const [one, other] = [await answers(with_server.page), await answers(alone.page)];
  assert.deepEqual(other.cards, one.cards);
  assert.ok(one.answers.length > 250);
  one.answers.forEach((answer, index) => assert.deepEqual(other.answers[index], answer, answer.word));
  await with_server.page.context().close();
  await alone.page.context().close();
});

test("blank paper reads as nothing, and undo, redo and clear do what they say", async () => {
  const { page, problems } = await open(browser, server.address);
  assert.equal(await text(page), "");
  assert.ok(await page.locator("#undo").isDisabled());
  await draw(page, written("H", 120, 100, 60));
  assert.equal(await text(page), "H");
  await page.locator("#undo").click();
  await settled(page, 2);
  assert.notEqual(await text(page), "H");
  await page.locator("#redo").click();
  await settled(page, 3);
  assert.equal(await text(page), "H");
  await page.keyboard.press("Delete");
  await settled(page, 0);
  assert.equal(await text(page), "");
  assert.equal(await page.locator("#spoken").textContent(), "The page is blank");
  await page.keyboard.press("Control+z");
  await settled(page, 3);
  assert.equal(await text(page), "H");
  assert.equal(await page.locator("#spoken").textContent(), "Reads H");
  assert.deepEqual(problems, []);
  await page.context().close();
});

test("another candidate can be picked, and what the network saw is shown", async () => {
  const { page } = await open(browser, server.address);
  await draw(page, written("cat", 120, 100, 80));
  await page.locator("#text button").nth(1).click();
  assert.equal(await page.locator("#candidates button").count(), 5);
  assert.equal(await page.locator("#candidates [aria-pressed=true] b").textContent(), "a");
  for (const id of ["saw", "why"]) {
    const lit = await page.locator(`#${id}`).evaluate((canvas) => {
      if (!(canvas instanceof HTMLCanvasElement)) return 0;
      const pixels = canvas.getContext("2d")?.getImageData(0, 0, 28, 28).data ?? [];
      return pixels.filter((value, index) => index % 4 < 3 && value > 60).length;
    });
    assert.ok(lit > 30, `${id}: ${lit}`);
  }
  await page.locator("#candidates button").nth(1).click();
  const second = await page.locator("#candidates [aria-pressed=true] b").textContent();
  assert.equal(await text(page), `c${second}t`);
  // It stays while more is written.
  await draw(page, written("s", 120, 420, 80));
  assert.equal((await text(page)).slice(0, 3), `c${second}t`);
  await picture(page, "picked");
  await page.context().close();
});

test("the page is dark where the system is, and when asked to be", async () => {
  const { page } = await open(browser, server.address, { colorScheme: "dark" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await draw(page, written("Night", 120, 90, 80));
  await picture(page, "dark");
  await page.locator("#theme").click();
  assert.notEqual(await ground(), dark);
  await page.reload();
  assert.notEqual(await ground(), dark, "the choice is remembered");
  await page.context().close();
});

test("on a telephone a finger writes and nothing is cut off", async () => {
  const { page } = await open(browser, server.address, {
    viewport: { width: 375, height: 740 },
    deviceScaleFactor: 2,
    hasTouch: true,
    isMobile: true,
  });
  const paper = await page.locator("#paper").boundingBox();
  assert.ok(paper);
  const fingers = await page.context().newCDPSession(page);
  /**
   * @param {"touchStart" | "touchMove" | "touchEnd"} type
   * @param {[number, number]} [place]
   */
  const touch = (type, place) =>
    fingers.send("Input.dispatchTouchEvent", {
      type,
      touchPoints: place ? [{ x: paper.x + place[0], y: paper.y + place[1] }] : [],
    });
  const strokes = written("Hi", 120, 60, 60);
  for (const [first, ...rest] of strokes) {
    if (first) await touch("touchStart", first);
    for (const place of rest) await touch("touchMove", place);
    await touch("touchEnd");
  }
  await settled(page, strokes.length);
  assert.equal(await text(page), "Hi");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  assert.equal(wide, false, "the page scrolls sideways");
  await picture(page, "phone");
  await page.context().close();
});

test("the keyboard alone writes, chooses a model and undoes", async () => {
  const { page } = await open(browser, server.address);
  await page.locator("#models input").first().focus();
  for (let step = 0; step < 2; step += 1) await page.keyboard.press("ArrowRight");
  assert.ok(await page.locator("#models input[value=digits]").isChecked());
  await page.locator("#paper").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press(" ");
  for (let step = 0; step < 10; step += 1) await page.keyboard.press("ArrowDown");
  await page.keyboard.press(" ");
  await settled(page, 1);
  assert.equal(await text(page), "1");
  await page.keyboard.press("Control+z");
  await settled(page, 0);
  assert.equal(await text(page), "");
  await page.context().close();
});

test("everything that can be pressed has a name, and the page speaks what it reads", async () => {
  const { page } = await open(browser, server.address);
  await draw(page, written("ok", 120, 100, 60));
  const nameless = await page.locator("button, input, canvas, summary").evaluateAll((elements) =>
    elements
      .filter((one) => {
        const label = one.closest("label")?.textContent ?? "";
        return ![one.textContent, one.getAttribute("aria-label"), label].some((name) => name?.trim());
      })
      .map((one) => one.outerHTML),
  );
  assert.deepEqual(nameless, []);
  assert.equal(await page.locator("#spoken").getAttribute("role"), "status");
  assert.match((await page.locator("#spoken").textContent()) ?? "", /^Reads /);
  await page.context().close();
});

test("when the server is gone the page says so and keeps the strokes", async () => {
  const own = await startServer();
  const { page } = await open(browser, own.address);
  await draw(page, written("1", 120, 100, 60));
  await own.stop();
  const paper = await page.locator("#paper").boundingBox();
  assert.ok(paper);
  await page.mouse.move(paper.x + 300, paper.y + 80);
  await page.mouse.down();
  await page.mouse.move(paper.x + 300, paper.y + 200, { steps: 5 });
  await page.mouse.up();
  await page.locator("#trouble").waitFor({ state: "visible" });
  assert.ok(await page.locator("#undo").isEnabled());
  await page.context().close();
});
