// @ts-check
// Who reads: the server this page came from, or where there is none, WebAssembly in the page.

/** @typedef {import("./types.js").Reader} Reader */
/** @typedef {import("./types.js").Card} Card */
/** @typedef {import("./types.js").Answer} Answer */

/**
 * The server if it answers, else the page itself.
 * @returns {Promise<Reader>}
 */
export async function findReader() {
  const cards = await serverCards();
  if (cards) return server(cards);
  const { inPage } = await import("./wasm.js");
  return inPage();
}

/** @returns {Promise<Card[] | null>} */
async function serverCards() {
  try {
    const response = await fetch("api/models", { headers: { accept: "application/json" } });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/**
 * @param {Card[]} cards
 * @returns {Reader}
 */
function server(cards) {
  return {
    where: "Read by the server on this machine.",
    cards,
    async read(model, strokes, signal) {
      const response = await fetch("api/recognise", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model, strokes, explain: true }),
        signal,
      });
      if (response.ok) return response.json();
      const { error } = await response.json().catch(() => ({ error: `status ${response.status}` }));
      throw new Error(error);
    },
  };
}
