// The annotation page in a real browser, from `rarebit human prepare` to `rarebit human analyse`.
//
// Needs the built program (RAREBIT, or target/release/rarebit) and a Chromium (CHROMIUM, or
// /usr/bin/chromium):  node --test web/tests/human.test.mjs

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const RAREBIT = process.env.RAREBIT ?? new URL("../../target/release/rarebit", import.meta.url).pathname;
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PROMPTS = 6;
const HOSTILE = "</script><img src=x onerror=\"document.title='hacked'\"> & שלום עולם 🦔";

let folder;
let browser;

const rarebit = (...args) => execFileSync(RAREBIT, args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "rarebit-human-"));
  for (const [system, word] of [["plain", "rain"], ["varied", "sun"]]) {
    const rows = [];
    for (let prompt = 0; prompt < PROMPTS; prompt++) {
      for (let sample = 0; sample < 3; sample++) {
        rows.push({ prompt_id: `p${prompt}`, prompt: `Tell ${prompt}. ${HOSTILE}`, sample, response: `The ${word} fell.\nSample ${sample}. ${HOSTILE}` });
      }
    }
    writeFileSync(join(folder, `${system}.jsonl`), rows.map((row) => JSON.stringify(row) + "\n").join(""));
  }
  rarebit("human", "prepare", "plain.jsonl", "varied.jsonl", "--prompts", `${PROMPTS}`, "--responses", "3");
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

// A window on the page. What the console complains of, and what is asked of the network, is an error.
async function open(options = {}) {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => { if (message.type() === "error" || message.type() === "warning") page.complaints.push(message.text()); });
  page.on("pageerror", (error) => page.complaints.push(`${error}`));
  page.on("request", (request) => { if (!/^(file|blob|data):/.test(request.url())) page.complaints.push(request.url()); });
  await page.goto(pathToFileURL(join(folder, options.file ?? "human.html")).href);
  return page;
}

async function start(page, name) {
  await page.getByLabel("Your name or number").fill(name);
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByRole("heading", { name: /^Prompt 1 of|^Prompt \d+ of|^Save your answers/ }).waitFor();
}

const title = (page) => page.locator("#item-title").textContent();
const leftWord = async (page) => ((await page.locator("#left li").first().textContent()).includes("sun") ? "sun" : "rain");

async function saved(page) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save answers" }).click()]);
  const name = download.suggestedFilename();
  await download.saveAs(join(folder, name));
  return name;
}

test("judged by keys alone, saved, and read by the program", async () => {
  const page = await open();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.getByLabel("Your name or number").focus();
  await page.keyboard.type("Ann Ø.");
  await page.keyboard.press("Enter");
  const lefts = [];
  for (let i = 1; i <= PROMPTS; i++) {
    assert.equal(await title(page), `Prompt ${i} of ${PROMPTS}`);
    const left = await leftWord(page);
    lefts.push(left);
    // Always the sun's set is more diverse; writing is alike, but for the last prompt.
    await page.keyboard.press(left === "sun" ? "1" : "3");
    await page.keyboard.press(i < PROMPTS ? "5" : left === "sun" ? "6" : "4");
    await page.keyboard.press("n");
  }
  assert.equal(lefts.filter((word) => word === "sun").length, PROMPTS / 2);
  assert.match(await page.locator("#told").textContent(), /^All 6 prompts are answered/);
  const name = await saved(page);
  assert.equal(name, "judgements-Ann-Ø.json");
  assert.equal(await page.locator("#as-text").inputValue(), readFileSync(join(folder, name), "utf8"));

  const found = JSON.parse(rarebit("human", "analyse", name, "--json", "--resamples", "100"));
  const counts = (question) => found.comparisons.find((it) => it.question === question).judgements;
  assert.deepEqual(counts("diversity"), { wins: PROMPTS, ties: 0, losses: 0 });
  assert.deepEqual(counts("quality"), { wins: 0, ties: PROMPTS - 1, losses: 1 });
  assert.equal(found.annotators[0].name, "Ann Ø.");
  // Three of six, and the last prompt's writing on one side or the other.
  assert.ok(Math.abs(found.annotators[0].left - 0.5) < 0.1);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("progress outlives the page, and each annotator has their own", async () => {
  const page = await open();
  await start(page, "Bo");
  const first = await page.locator("#prompt").textContent();
  await page.getByRole("group", { name: "Which set is more diverse?" }).getByRole("radio", { name: "no difference" }).check();
  await page.getByRole("group", { name: "Which set holds the best writing?" }).getByRole("radio", { name: "A" }).check();
  await page.getByRole("button", { name: "Next" }).click();
  await page.keyboard.press("2");
  await page.reload();
  assert.equal(await page.getByLabel("Your name or number").inputValue(), "Bo");
  assert.match(await page.locator("#known").textContent(), /^1 of 6 are answered under this name/);
  await start(page, "Bo");
  // The first that is not wholly answered, with what was answered.
  assert.equal(await title(page), "Prompt 2 of 6");
  assert.equal(await page.locator("input[name=diversity]:checked").inputValue(), "tie");
  await page.keyboard.press("p");
  assert.equal(await page.locator("#prompt").textContent(), first);
  assert.equal(await page.locator("input[name=quality]:checked").inputValue(), "left");
  // A change of mind counts.
  await page.keyboard.press("6");
  const answers = read(await saved(page)).answers;
  assert.equal(answers.length, 2);
  assert.notEqual(answers[0].quality, answers[0].left);
  assert.notEqual(answers[0].quality, "tie");
  assert.equal(answers[1].quality, null);

  await page.reload();
  await start(page, "Cy");
  assert.equal(await title(page), "Prompt 1 of 6");
  assert.equal(await page.locator("input[type=radio]:checked").count(), 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("names see different orders and mirrored sides, a name always the same", async () => {
  const seen = async (name) => {
    const page = await open();
    await start(page, name);
    const order = [];
    for (let i = 0; i < PROMPTS; i++) {
      order.push(`${(await page.locator("#prompt").textContent()).slice(0, 6)} ${await leftWord(page)}`);
      await page.keyboard.press("n");
    }
    await page.context().close();
    return order;
  };
  const orders = [];
  for (const name of ["a", "b", "c", "d", "e", "f"]) orders.push(await seen(name));
  assert.deepEqual(await seen("a"), orders[0]);
  assert.ok(new Set(orders.map((order) => order.join())).size > 4);
  const sets = new Set(orders.map((order) => [...order].sort().join()));
  assert.equal(sets.size, 2, "as drawn, and mirrored");
});

test("texts stay texts, and open questions can be found again", async () => {
  const page = await open();
  await start(page, "Di");
  assert.equal(await page.title(), "Comparing texts");
  assert.match(await page.locator("#left li p").first().textContent(), /<\/script><img src=x/);
  assert.equal(await page.locator("#left img").count(), 0);
  for (let i = 0; i < PROMPTS; i++) await page.keyboard.press("n");
  assert.match(await page.locator("#told").textContent(), /^0 of 6 prompts are answered/);
  await page.getByRole("button", { name: "Prompt 3" }).click();
  assert.equal(await title(page), "Prompt 3 of 6");
  // Keys can be switched off, and do nothing in combination.
  await page.keyboard.press("Control+1");
  await page.locator("#keys").uncheck();
  await page.keyboard.press("1");
  await page.keyboard.press("n");
  assert.equal(await page.locator("input[type=radio]:checked").count(), 0);
  assert.equal(await title(page), "Prompt 3 of 6");
  await page.context().close();
});

test("summaries stand first, the whole text behind them", async () => {
  rarebit("human", "prepare", "plain.jsonl", "varied.jsonl", "--summary-prompts", "ask.jsonl", "--responses", "3", "--prompts", "2");
  const asked = readFileSync(join(folder, "ask.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const answers = asked.map((row) => JSON.stringify({ ...row, sample: 0, response: `In short: ${row.prompt_id}` }) + "\n");
  writeFileSync(join(folder, "summaries.jsonl"), answers.join(""));
  rarebit("human", "prepare", "plain.jsonl", "varied.jsonl", "--summaries", "summaries.jsonl", "--responses", "3", "--prompts", "2",
    "--output", "short.html", "--key", "short-key.json");
  const page = await open({ file: "short.html" });
  await start(page, "Ed");
  const text = page.locator("#left li").first();
  assert.match(await text.locator("> p").textContent(), /^In short: [0-9a-f]{16}$/);
  assert.equal(await text.locator("details p").isVisible(), false);
  await text.getByText("The whole text").click();
  assert.equal(await text.locator("details p").isVisible(), true);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("accessible in both themes and at every step, on a phone too", async () => {
  for (const [colorScheme, viewport] of [["light", { width: 1280, height: 900 }], ["dark", { width: 360, height: 740 }]]) {
    // The page's own policy would keep axe out.
    const page = await open({ colorScheme, viewport, bypassCSP: true });
    const look = async (where) => {
      await page.addScriptTag({ path: AXE });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      assert.deepEqual(violations.map((it) => [it.id, it.nodes.map((node) => node.html)]), [], `${colorScheme}, ${where}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      assert.equal(wide, false, `${colorScheme}, ${where}: wider than the window`);
    };
    await look("start");
    await start(page, "Fy");
    await page.keyboard.press("1");
    await look("item");
    for (let i = 0; i < PROMPTS; i++) await page.keyboard.press("n");
    await look("end");
    await page.context().close();
  }
});
