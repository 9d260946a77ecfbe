// The Score page: what it computes, what it takes, and what becomes of odd input.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, longestTask, measured, visit } from "./browser.mjs";

const ROOT = join(import.meta.dirname, "../..");
const EXAMPLES = JSON.parse(await readFile(join(ROOT, "web/page/examples.json"), "utf8"));

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** Pastes through the dialog. */
async function paste(page, text, split = "auto", how = "Measure these") {
  await page.getByRole("button", { name: "Paste several…" }).click();
  await page.selectOption("#split", split);
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
    const field = document.querySelector("#pasted");
    if (field.dispatchEvent(event)) {
      field.value = text;
      field.dispatchEvent(new Event("input"));
    }
  }, text);
  await page.getByRole("button", { name: how }).click();
}

/** What the export holds. */
async function exported(page, kind = "json") {
  const download = page.waitForEvent("download");
  await page.click(`#${kind}`);
  const text = await readFile(await (await download).path());
  return kind === "json" ? JSON.parse(text.toString()) : text;
}

const finding = (page) => page.locator("#finding").textContent();

test("the example is measured at the first visit, and nothing leaves the machine", async () => {
  const { context, page, complaints } = await visit(browser);
  const foreign = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(page.url()).origin) && !request.url().startsWith("blob:")) foreign.push(request.url());
  });
  await measured(page, 8);
  assert.match(await finding(page), /^8 texts, on average 0\.\d\d apart/);
  assert.equal(await page.locator(".card").count(), 8);
  assert.ok((await page.locator("#measures tbody tr").count()) >= 11);
  assert.deepEqual(foreign, []);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("deviations, weights and measures are the command line's", async (t) => {
  const program = process.env.RAREBIT_BIN ?? join(ROOT, "target/release/rarebit");
  if (!existsSync(program)) {
    return t.skip("skipped: build the command line first, with cargo build --release");
  }
  const odd = {
    id: "odd",
    prompt: "Anything.",
    responses: ["قال الثعلب: لا أعرف.", "狐狸跑回家了。", "🦊🦊 🌧️", "The fox ran home.", "The fox ran home.", "Ωmega — “quotes”, naïve; ½ — e\u0301", "a", "one\n\ntwo\tthree"].map((text) => ({ text })),
  };
  const groups = [...EXAMPLES.flatMap((example) => example.groups), odd].map(({ prompt, responses }, i) => ({ id: `g${i}`, prompt, responses: responses.map(({ text }) => ({ text })) }));
  const folder = await mkdtemp(join(tmpdir(), "rarebit-"));
  const lines = groups.map(({ id, prompt, responses }) => JSON.stringify({ prompt_id: id, prompt, responses }));
  await writeFile(join(folder, "groups.jsonl"), lines.join("\n"));
  const run = (...args) => execFileSync(program, args, { cwd: folder, maxBuffer: 1e9 }).toString();
  const native = run("deviation", "groups.jsonl", "--semantic", "builtin:lexical", "--style", "builtin:style", "--json").trim().split("\n").map((line) => JSON.parse(line));
  run("evaluate", "one=groups.jsonl", "--semantic", "builtin:lexical", "--style", "builtin:style", "--resamples", "10", "--output", "evaluation.json");
  const evaluation = JSON.parse(await readFile(join(folder, "evaluation.json"), "utf8"));

  const { context, page } = await visit(browser);
  await page.setInputFiles("#files", join(folder, "groups.jsonl"));
  await page.locator("#notice").getByText("groups.jsonl").waitFor();
  const found = await exported(page);
  const rows = found.groups.flatMap((group) => group.responses.map((response) => ({ ...response, prompt_id: group.prompt_id })));
  assert.equal(rows.length, native.length);
  let worst = 0;
  for (const row of rows) {
    const twin = native.find((one) => one.response === row.text && one.prompt_id.endsWith(row.prompt_id));
    for (const name of ["deviation_semantic", "deviation_style", "normalized_semantic", "normalized_style", "weight"]) {
      worst = Math.max(worst, Math.abs(row[name] - twin[name]));
    }
  }
  for (const group of found.groups) {
    const twin = evaluation.prompts.find((one) => one.prompt_id.endsWith(group.prompt_id)).systems.one.metrics;
    for (const [name, value] of Object.entries(group.metrics)) worst = Math.max(worst, Math.abs(value - twin[name]));
  }
  t.diagnostic(`${rows.length} texts, largest difference ${worst.toExponential(1)}`);
  assert.ok(worst < 1e-4);
  await context.close();
});

test("one text, no text, white space and repeats", async () => {
  const { context, page, complaints } = await visit(browser);
  await measured(page, 8);
  await paste(page, "Only one.", "none");
  await measured(page, 1);
  assert.match(await finding(page), /One text is alone/);
  assert.equal(await page.locator(".card .weight b").textContent(), "1.00");
  await page.fill(".card textarea", "   \n ");
  await measured(page, 0);
  assert.match(await finding(page), /nothing to measure/);
  await page.getByRole("button", { name: "Clear" }).click();
  await measured(page, 0);
  await page.getByRole("button", { name: "Undo" }).click();
  await paste(page, "Same words here\nSame words here\nOther things altogether\nSame words here", "line");
  await measured(page, 4);
  assert.match(await page.locator("#further").textContent(), /2 texts are exact repeats/);
  assert.deepEqual((await exported(page)).groups[0].responses.map((r) => r.weight), [0, 0, 4, 0]);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("right-to-left scripts and emoji are read, shown and exported whole", async () => {
  const { context, page } = await visit(browser);
  const texts = ["قال الثعلب إنه لا يعرف.", "👩‍👩‍👧‍👦 חתול שחור 🐈‍⬛", "狐狸跑回家了。", "🦊 runs 🏃🏽‍♀️"];
  await paste(page, texts.join("\n---\n"));
  await measured(page, 4);
  assert.deepEqual((await exported(page)).groups[0].responses.map((r) => r.text), texts);
  assert.equal(await page.locator(".card textarea").first().evaluate((e) => getComputedStyle(e).unicodeBidi), "plaintext");
  await context.close();
});

test("200 texts: the page answers all the while", async (t) => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  await browser.startTracing(page, { categories: ["disabled-by-default-devtools.timeline", "toplevel"] });
  const texts = Array.from({ length: 200 }, (_, i) => Array.from({ length: 120 }, (_, k) => `word${(i * 7919 + k * k * 31) % 900}`).join(" "));
  await paste(page, texts.join("\n\n"));
  await measured(page, 200);
  await page.waitForTimeout(300);
  const longest = longestTask(JSON.parse((await browser.stopTracing()).toString()).traceEvents);
  t.diagnostic(`the longest task of the page took ${longest.toFixed(0)} ms of processor time`);
  assert.ok(longest < 50, `a task took ${longest} ms`);
  await page.locator("#more").click();
  await page.waitForFunction(() => document.querySelectorAll(".card").length === 120);
  await context.close();
});

test("a text of 5 MB is measured whole and shown in part", async (t) => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  const large = Array.from({ length: 720_000 }, (_, k) => `w${(k * 48271) % 60_000}`).join(" ");
  assert.ok(large.length > 4_500_000);
  const start = Date.now();
  await paste(page, `${large}\n---\nThe fox ran home.\n---\nRain fell on the sea.`, "rule");
  await measured(page, 3);
  t.diagnostic(`${((Date.now() - start) / 1000).toFixed(1)} s`);
  assert.match(await page.locator(".chip").textContent(), /4\.\d MB, the beginning is shown/);
  assert.ok((await page.locator(".card .excerpt").textContent()).length < 1000);
  await context.close();
});

test("measuring can be stopped, and goes on with the next change", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  const large = Array.from({ length: 500_000 }, (_, k) => `word${(k * 48271) % 90_000}`).join(" ");
  await paste(page, `${large}\n---\n${large} more`, "rule");
  await page.locator("#stop").click();
  await page.locator("#notice").getByText("Stopped").waitFor();
  await paste(page, "one\ntwo\nthree", "line");
  await measured(page, 3);
  await context.close();
});

test("a worker that dies is noticed and replaced", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  const [worker] = page.workers();
  const death = page.evaluate(() => navigator.locks.query().then((q) => q.held.length));
  assert.ok((await death) >= 1);
  await worker.evaluate(() => setTimeout(() => self.close()));
  // The page waits for an answer that will not come.
  await page.waitForTimeout(300);
  await page.fill(".card textarea >> nth=0", "Something else.");
  await page.waitForTimeout(1500);
  const again = page.getByRole("button", { name: "Try again" });
  if (await again.isVisible()) await again.click();
  await page.waitForFunction(() => document.querySelector(".card .fact b").textContent !== "0.58");
  assert.match(await finding(page), /^8 texts/);
  await context.close();
});

test("files: groups, CSV, plain text, several at once, and what is wrong with bad ones", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  const file = (name, text) => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) });
  const open = (...files) => page.setInputFiles("#files", files);
  const says = (words) => page.locator("#notice").getByText(words).waitFor();

  await open(file("flat.csv", 'prompt,response,score\r\nA,"one, two ""x""\r\nthree",5\r\nB,four,\r\nA,five,7\r\n'));
  await says("3 texts to 2 prompts from flat.csv, CSV.");
  await measured(page, 2);
  assert.deepEqual((await exported(page)).groups.map((g) => g.responses.map((r) => [r.text, r.score])), [[['one, two "x"\r\nthree', 5], ["five", 7]], [["four", undefined]]]);
  await page.getByRole("button", { name: "Next prompt" }).click();
  await measured(page, 1);
  assert.equal(await page.inputValue("#prompt"), "B");

  await open(file("posts.jsonl", '{"post_title":"[WP] A fox","post_text":"","comment_texts":["x y","z"],"comment_scores":[3,1]}\n{"prompt":"P","chosen":[{"role":"assistant","content":"good"}],"rejected":"bad"}\n'));
  await says("4 texts to 2 prompts");
  assert.equal(await page.inputValue("#prompt"), "A fox");

  await open(file("notes.txt", "first\nstill first\n\nsecond\n\n\nthird"));
  await says("3 texts from notes.txt, split at blank lines.");
  await page.locator("#notice select").selectOption("line");
  await says("4 texts from notes.txt, one per line.");

  await open(file("a.txt", "one\n\none more"), file("b.txt", "two"));
  await says("2 texts from 2 files");

  await open(file("bad.jsonl", '{"prompt":"P","response":"r"}\n{"prompt":\n'));
  await says("bad.jsonl, line 2: this is not JSON.");
  await open(file("bad.csv", 'prompt,response\nA,b,c\n'));
  await says("bad.csv, line 2: 3 fields where the first line names 2.");
  await open(file("none.csv", "question,answer\nA,b\n"));
  await says('Name one of them "response"');
  await open({ name: "latin.txt", mimeType: "text/plain", buffer: Buffer.from([0x66, 0xfc, 0x63]) });
  await says("latin.txt is not text in UTF-8.");
  await open(file("empty.txt", " \n"));
  await says("empty.txt is empty.");
  await measured(page, 2);
  await context.close();
});

test("CSV and PNG leave the page as such", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  const csv = (await exported(page, "csv")).toString();
  assert.match(csv, /^prompt_id,prompt,response,score,deviation_semantic,/);
  assert.ok(csv.includes('"Dear Harbour Board,\n\nI write'));
  const png = await exported(page, "png");
  assert.equal(png.subarray(1, 4).toString(), "PNG");
  assert.ok(png.length > 20_000);
  await context.close();
});

test("the heat map is walked with the keyboard, and a pair opens with its shared words marked", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  await page.locator("#heat").focus();
  await page.keyboard.press("ArrowRight");
  await page.locator("#heat-readout").getByText(/^1 and 2: 0\.16 apart\.$/).waitFor();
  assert.equal(await page.locator(".card.marked").count(), 2);
  await page.keyboard.press("Enter");
  await page.locator("details[open] mark.phrase").first().waitFor();
  const phrases = await page.locator("details[open] mark.phrase").allTextContents();
  assert.ok(phrases.includes("her heart heavy with a feeling she could not name. The beam swept"));
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "SUMMARY");
  await context.close();
});

test("settings change the weights", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  await page.getByText("How weights are made").click();
  await page.fill("#floor", "0.2");
  await page.locator("#floor").blur();
  await page.waitForFunction(() => document.querySelector(".card .weight b").textContent !== "0.00");
  await page.fill("#floor", "7");
  await page.locator("#floor").blur();
  await page.locator("#notice").getByText("the floor is 7").waitFor();
  await context.close();
});
