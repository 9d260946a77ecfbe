// The sheet of models: sizes before, progress during, and what is kept and deleted after.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, measured } from "./browser.mjs";
import { serve } from "./static.mjs";

const ROOT = join(import.meta.dirname, "../..");
const SITE = join(import.meta.dirname, "../dist/site");
const BASE = join(ROOT, "native/demo");
const BOUND = { timeout: 170_000 };

let browser;
let host;
before(async () => {
  browser = await launch();
  const files = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
  host = await serve(SITE, Object.fromEntries(files.map((name) => [`/base/${name}`, { file: join(BASE, name) }])), { under: "/base/", perSecond: 1e9 });
});
after(async () => {
  host?.close();
  await browser?.close();
});

/** A visitor with the sheet open, on the tab that writes. */
async function visitor() {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.goto(`${host.url}#write?samples=2&max_new_tokens=12`);
  await open(page);
  return { context, page };
}

async function open(page) {
  await page.locator("#badge").click();
  await page.locator("#kept .model-row").nth(1).waitFor(BOUND);
}

/** Names the host's own model and asks for its size. */
async function offered(page) {
  await page.fill("#source", `${host.url}base/`);
  await page.getByRole("button", { name: "See its size" }).click();
  return page.locator("#offer .main");
}

const row = (page) => page.locator("#kept .model-row", { hasText: "base" });

test("a download shows its size before, can be stopped half way, goes on from there, and is deleted", BOUND, async (t) => {
  const { context, page } = await visitor();
  host.slow.perSecond = 600_000;
  const go = await offered(page);
  await go.waitFor(BOUND);
  assert.match(await go.textContent(), /^Load 2\.9 MB$/);
  assert.equal(host.asked.filter(({ name, method }) => name === "/base/model.safetensors" && method === "GET").length, 0, "nothing is fetched before the button is pressed");
  await go.click();
  await page.waitForFunction(() => document.querySelector("#kept .model-row:last-child progress").value > 600_000, undefined, BOUND);
  assert.match(await row(page).locator(".state").textContent(), /of 2\.9 MB · .* a second · \d+ s left/);
  await row(page).getByRole("button", { name: /^Cancel/ }).click();
  await row(page).getByRole("button", { name: /^Go on/ }).waitFor(BOUND);
  assert.match(await row(page).locator(".state").textContent(), /^(\d+ kB|[12]\.\d MB) of 2\.9 MB are here$/);

  // What has arrived outlives the page.
  await page.reload();
  await open(page);
  host.asked.length = 0;
  host.slow.perSecond = 1e9;
  await row(page).getByRole("button", { name: /^Go on/ }).click();
  await row(page).getByText("in memory").waitFor(BOUND);
  const ranges = host.asked.filter(({ name }) => name === "/base/model.safetensors").map(({ range }) => range);
  t.diagnostic(`went on with ${ranges}`);
  assert.ok(ranges.some((range) => /^bytes=[1-9]\d*-/.test(range ?? "")), `${ranges}`);

  await page.locator("#models-close").click();
  await page.selectOption("#model-a", { label: await page.locator("#model-a option", { hasText: "base" }).textContent() });
  await page.locator("#go").click();
  await page.locator("#course").getByText("Done").waitFor(BOUND);

  await open(page);
  await row(page).getByRole("button", { name: /^Delete/ }).click();
  await page.locator("#sheet-notice").getByText(/is deleted; 2\.9 MB are free again/).waitFor(BOUND);
  await row(page).waitFor({ state: "detached", ...BOUND });
  // The address named it.
  await page.waitForFunction(() => !location.hash.includes("base"), undefined, BOUND);
  await page.reload();
  await open(page);
  assert.equal(await row(page).count(), 0);
  await context.close();
});

test("a model from a folder of this machine is read without any request", BOUND, async () => {
  const { context, page } = await visitor();
  host.asked.length = 0;
  await page.setInputFiles("#folder-files", BASE);
  const own = page.locator("#kept .model-row", { hasText: "demo" }).last();
  await own.getByText("in memory").waitFor(BOUND);
  assert.match(await own.textContent(), /llama · 1\.4 M parameters · reads 512 tokens/);
  assert.deepEqual(host.asked.filter(({ name, method }) => method === "GET" && name.includes("safetensors")), []);
  await own.getByRole("button", { name: /^Put away/ }).click();
  await page.waitForFunction(() => !document.querySelector("#kept").textContent.includes("in memory"), undefined, BOUND);
  await context.close();
});

test("what cannot be had is said with its remedy, and the page goes on", BOUND, async () => {
  const { context, page } = await visitor();
  const says = (words) => page.locator("#sheet-notice").getByText(words).waitFor(BOUND);
  await page.fill("#source", "just some words");
  await page.getByRole("button", { name: "See its size" }).click();
  await says(/Write a model’s name as on Hugging Face/);
  await page.fill("#source", `${host.url}nothing/`);
  await page.getByRole("button", { name: "See its size" }).click();
  await says(/nothing/);
  // A folder that holds no model.
  await page.setInputFiles("#folder-files", join(import.meta.dirname));
  await says(/config\.json/);
  await (await offered(page)).waitFor(BOUND);
  await context.close();
});

test("an embedder takes the place of the built-in one in Score", BOUND, async (t) => {
  const minilm = process.env.RAREBIT_MINILM;
  if (!minilm || !existsSync(join(minilm, "config.json"))) {
    return t.skip("skipped: set RAREBIT_MINILM to a folder of all-MiniLM-L6-v2");
  }
  const { context, page } = await visitor();
  await page.setInputFiles("#folder-files", minilm);
  await page.locator("#kept").getByText(/vectors of 384/).waitFor(BOUND);
  await page.locator("#models-close").click();
  await page.locator("#tab-score").click();
  await measured(page, 8);
  const before = await page.locator("#finding").textContent();
  await page.locator("#semantic").selectOption({ index: 1 });
  await page.waitForFunction((before) => document.querySelector("#finding").textContent !== before, before, BOUND);
  t.diagnostic(`${before} -> ${await page.locator("#finding").textContent()}`);
  await context.close();
});

test("the benchmark says how fast each backend is", BOUND, async (t) => {
  const { context, page } = await visitor();
  await page.getByRole("button", { name: "Measure both" }).click();
  await page.locator("#benchmark-words").getByText(/^Tokens a second: .*is faster here/).waitFor(BOUND);
  t.diagnostic(await page.locator("#benchmark-words").textContent());
  await context.close();
});
