// The npm package, as another site uses it: its README's example runs as it stands.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { serve } from "./static.mjs";

const PACKAGE = join(import.meta.dirname, "../dist/package");
let browser;
let host;

before(async () => {
  browser = await launch();
  const readme = await readFile(join(PACKAGE, "README.md"), "utf8");
  const examples = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);
  const html = (script) => `<!doctype html><link rel="icon" href="data:,"><script type="importmap">{"imports": {"rarebit": "./index.js"}}</script><script type="module" src="${script}"></script>`;
  const pages = { "/0.html": html("0.js"), "/1.html": html("1.js"), "/0.js": examples[0], "/1.js": examples[1] };
  host = await serve(PACKAGE, { ...pages, "/empty.html": "<!doctype html>" });
});
after(async () => {
  host?.close();
  await browser?.close();
});

/** What an example of the README says, once it has said so much or failed. */
async function example(name, count) {
  const page = await browser.newPage();
  const lines = [];
  const finished = new Promise((resolve) => {
    page.on("console", (message) => message.type() !== "debug" && lines.push(message.text()) >= count && resolve());
    page.on("pageerror", (error) => (lines.push(String(error)), resolve()));
    setTimeout(resolve, 90_000).unref();
  });
  await page.goto(`${host.url}${name}`);
  await finished;
  await page.close();
  assert.equal(lines.length, count, lines.join("\n"));
  return lines;
}

test("the README's example of scores runs", async () => {
  const lines = await example("0.html", 3);
  assert.equal(lines[0], "true");
  assert.ok(Number(lines[1]) > 0.3 && Number(lines[1]) < 1, lines[1]);
  assert.ok(Number(lines[2]) > 10, lines[2]);
});

test("the README's example of writing runs", async () => {
  assert.deepEqual(await example("1.html", 1), ["true"]);
});

/** Runs a function in a page that has imported the package. */
async function inPage(task) {
  const page = await browser.newPage();
  await page.goto(`${host.url}empty.html`);
  const result = await page.evaluate(`(async () => { const rarebit = await import("./index.js"); return (${task})(rarebit); })()`);
  await page.close();
  return result;
}

test("nothing is fetched before the first call", async () => {
  const page = await browser.newPage();
  const fetched = [];
  page.on("request", (request) => fetched.push(request.url().split("/").at(-1)));
  await page.goto(`${host.url}empty.html`);
  await page.evaluate(`import("./index.js")`);
  assert.deepEqual(fetched, ["empty.html", "index.js"]);
  await page.close();
});

test("a call is cancelled by its signal, before and during", async () => {
  const found = await inPage(async (rarebit) => {
    const large = Array.from({ length: 60 }, (_, i) => `${"word ".repeat(4000)}${i}`);
    const name = (promise) => promise.then(() => "done", (error) => error.name);
    const during = new AbortController();
    const running = name(rarebit.score(large, { signal: during.signal, onProgress: () => during.abort() }));
    return [await name(rarebit.score(["a"], { signal: AbortSignal.abort() })), await running, await name(rarebit.score(["a", "b"]))];
  });
  assert.deepEqual(found, ["AbortError", "AbortError", "done"]);
});

test("weights follow tau and the semantic share", async () => {
  const found = await inPage(async (rarebit) => {
    const texts = ["The fox ran home.", "The fox ran to its home!", "Rain fell on the old sea.", "Who was it? I know, I know."];
    const weights = async (options) => (await rarebit.deviation(texts, options)).map((one) => one.weight);
    const told = (promise) => promise.catch((error) => [error.code, error.message]);
    return {
      plain: await weights({}),
      half: await weights({ tau: 1, semantic_share: 0.5 }),
      flat: await weights({ tau: 0 }),
      semantic: await weights({ kinds: "semantic" }),
      whole: await weights({ semantic_share: 1 }),
      sharp: await weights({ kinds: "semantic", tau: 2 }),
      tau: await told(weights({ tau: -1 })),
      share: await told(weights({ kinds: "style", semantic_share: 0.5 })),
      mix: await told(weights({ mix: { diversity: 1 } })),
    };
  });
  const close = (these, those) => these.forEach((value, i) => assert.ok(Math.abs(value - those[i]) < 1e-9, `${these} is not ${those}`));
  close(found.half, found.plain);
  close(found.flat, [1, 1, 1, 1]);
  close(found.whole, found.semantic);
  const squares = found.semantic.map((weight) => weight * weight);
  const mean = squares.reduce((sum, square) => sum + square, 0) / squares.length;
  close(found.sharp, squares.map((square) => square / mean));
  assert.deepEqual(found.tau, ["input", "tau is -1; it must be a number from 0, where 1 changes nothing"]);
  assert.deepEqual(found.share, ["input", "the semantic share is 0.5; it must be from 0 to 1, and both kinds must be mixed"]);
  assert.deepEqual(found.mix, ["input", "a mix of signals is made by `rarebit prepare` only; leave `mix` out"]);
});

test("errors have a code and say what to do", async () => {
  const found = await inPage(async (rarebit) => {
    const told = (promise) => promise.catch((error) => [error.name, error.code, error.message]);
    return [await told(rarebit.embed(["a"], { embedder: "builtin:lexcal" })), await told(rarebit.score(["a", "b"], { floor: 2 }))];
  });
  assert.deepEqual(found, [
    ["RarebitError", "input", 'There is no embedder "builtin:lexcal"; there are builtin:lexical, builtin:style.'],
    ["RarebitError", "input", "the floor is 2; it must be from 0 to 1"],
  ]);
});

test("no text, one text and an empty text", async () => {
  const found = await inPage(async (rarebit) => [
    await rarebit.deviation([]),
    await rarebit.embed([]),
    (await rarebit.deviation(["alone"]))[0],
    (await rarebit.deviation(["", "a fox"])).map((one) => one.semantic),
  ]);
  assert.deepEqual(found[0], []);
  assert.deepEqual(found[1], []);
  assert.equal(found[2].semantic, null);
  assert.equal(found[2].weight, 1);
  assert.deepEqual(found[3], [1, 1]);
});

test("stop ends what runs, and the next call starts anew", async () => {
  const found = await inPage(async (rarebit) => {
    const running = rarebit.score(Array.from({ length: 50 }, (_, i) => "word ".repeat(9000) + i)).catch((error) => error.name);
    setTimeout(rarebit.stop, 100);
    return [await running, (await rarebit.embedders()).map((one) => one.name)];
  });
  assert.deepEqual(found, ["AbortError", ["builtin:lexical", "builtin:style"]]);
});
