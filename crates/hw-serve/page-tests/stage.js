// @ts-check
// A server, a static folder and a browser for the tests.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** @param {string} name */
function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run cargo xtask page-tests`);
  return value;
}

/** Starts `hw serve` on a free port. */
export async function startServer() {
  const child = spawn(needed("HW_BIN"), ["serve", "--bind", "127.0.0.1:0", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(createInterface(child.stdout), "line");
  /** @type {{address: string}} */
  const { address } = JSON.parse(line);
  const stop = async () => {
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`hw serve ended with ${code}`);
  };
  return { address, stop };
}

const KINDS = /** @type {Record<string, string>} */ ({
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
});

/** Serves the folder that `cargo xtask web` made, files and nothing else. */
export async function startFolder() {
  const root = needed("HW_WEB");
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const file = join(root, path === "/" ? "index.html" : path);
    if (!existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const kind = KINDS[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": kind }).end(await readFile(file));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const place = server.address();
  const port = place && typeof place === "object" ? place.port : 0;
  return { address: `http://127.0.0.1:${port}`, stop: async () => void server.close() };
}

/** Debian's Chromium, or the one in $CHROMIUM. */
export async function startBrowser() {
  const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  // Tests run as root in containers, where Chromium's sandbox cannot; it sees our own page only.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
}

/**
 * A page that fails the test on any error or refused resource; `problems` collects them.
 * @param {import("playwright-core").Browser} browser
 * @param {string} address
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
export async function open(browser, address, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
  // A busy machine is slow, and no fault of the page.
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  /** @type {string[]} */
  const problems = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  await page.goto(address);
  await page.locator("#models input").first().waitFor({ state: "attached" });
  return { page, problems };
}

/**
 * Draws strokes with the mouse, given from the paper's corner, and waits until they are read.
 * @param {import("playwright-core").Page} page
 * @param {[number, number][][]} strokes
 */
export async function draw(page, strokes) {
  const before = Number(await page.locator("#text").getAttribute("data-strokes"));
  for (const places of strokes) {
    const [first, ...rest] = places;
    if (!first) continue;
    // Anew for each stroke: what is read meanwhile may move the paper.
    const paper = await page.locator("#paper").boundingBox();
    if (!paper) throw new Error("there is no paper");
    await page.mouse.move(paper.x + first[0], paper.y + first[1]);
    await page.mouse.down();
    for (const [x, y] of rest) await page.mouse.move(paper.x + x, paper.y + y);
    await page.mouse.up();
  }
  await settled(page, before + strokes.length);
}

/**
 * Waits until the text answers for so many strokes.
 * @param {import("playwright-core").Page} page
 * @param {number} strokes
 */
export async function settled(page, strokes) {
  await page.locator(`#text[data-strokes="${strokes}"]`).waitFor();
}

/** The text shown. @param {import("playwright-core").Page} page */
export async function text(page) {
  return (await page.locator("#text").textContent()) ?? "";
}

/**
 * @param {import("playwright-core").Page} page
 * @param {string} model
 */
export async function choose(page, model) {
  await page.locator(`#models input[value="${model}"]`).check({ force: true });
}
