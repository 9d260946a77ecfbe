// Writing: two models side by side, what is measured of them, and what may go wrong meanwhile.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, longestTask, measured, PAGE, visit } from "./browser.mjs";

/** The longest that anything here may take. */
const BOUND = { timeout: 170_000 };
/** And where a graphics processor is emulated, whose shaders are compiled first. */
const EMULATED = { timeout: 400_000 };

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** A visitor on the tab that writes, with settings in the address. */
async function writer(settings = "", options = {}, of = browser) {
  const visitor = await visit(of, options, `#write${settings && `?${settings}`}`);
  await visitor.page.getByRole("button", { name: /^Load \d.* and write$/ }).waitFor(BOUND);
  return visitor;
}

const course = (page, words, bound = BOUND) => page.locator("#course").getByText(words).waitFor(bound);
const texts = (page, side) => page.locator(`.writer[data-side=${side}] .samples p`).allTextContents();

test("both models write, token by token, and their diversity is drawn as texts end", BOUND, async (t) => {
  const { context, page, complaints } = await writer("samples=4&max_new_tokens=20&seed=3");
  assert.match(await page.locator("#go").textContent(), /^Load \d\.\d MB and write$/);
  // A text that is being written is shown before it is whole.
  await page.evaluate(() => {
    globalThis.lengths = new Set();
    const look = () => globalThis.lengths.add(document.querySelector(".samples .live p")?.textContent.length ?? 0);
    new MutationObserver(look).observe(document.querySelector("#panel-write"), { subtree: true, childList: true, characterData: true });
  });
  await page.locator("#go").click();
  await course(page, "Done: 4 texts of DPO, 4 texts of DDPO.");
  const lengths = await page.evaluate(() => [...globalThis.lengths]);
  assert.ok(lengths.length > 3, `seen at lengths ${lengths}`);
  for (const side of ["a", "b"]) {
    assert.equal((await texts(page, side)).length, 4);
    const speed = await page.locator(`.writer[data-side=${side}] .speed`).textContent();
    t.diagnostic(`${side}: ${speed}`);
    assert.match(speed, /^4 texts of 4 · [\d.]+ tokens a second · first token after [\d.]+ m?s$/);
  }
  await page.locator("#verdict").getByText("After 4 texts each").waitFor(BOUND);
  assert.match(await page.locator("#curve-style svg").getAttribute("aria-label"), /^style diversity: DPO [\d.]+ after 4 texts, DDPO [\d.]+ after 4 texts$/);
  assert.equal(await page.locator("#curve-semantic circle").count(), 6);
  assert.match(await page.locator("#caution").textContent(), /In style .*±.*In meaning .*±/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test("the same seed writes the same, another one something else", BOUND, async () => {
  const { context, page } = await writer("samples=2&max_new_tokens=12&seed=5");
  const round = async () => {
    // What the round before has left there.
    await page.locator("#course").evaluate((course) => (course.textContent = ""));
    await page.locator("#go").click();
    await course(page, "Done");
    return [await texts(page, "a"), await texts(page, "b")];
  };
  const first = await round();
  assert.deepEqual(await round(), first);
  await page.getByText("How they sample").click();
  await page.fill("#seed", "6");
  assert.notDeepEqual(await round(), first);
  await context.close();
});

test("stop ends the writing at once; what is whole stays and goes to Score", BOUND, async () => {
  const { context, page } = await writer("samples=60&max_new_tokens=10");
  await page.locator("#go").click();
  await page.waitForFunction(() => document.querySelectorAll(".writer[data-side=b] .samples li:not(.live)").length >= 2, undefined, BOUND);
  await page.getByRole("button", { name: "Stop" }).first().click();
  await course(page, "Stopped.");
  const after = [await texts(page, "a"), await texts(page, "b")];
  await page.waitForTimeout(500);
  assert.deepEqual([await texts(page, "a"), await texts(page, "b")], after);
  const whole = await page.locator(".writer[data-side=b] .samples li:not(.halted)").count();
  assert.ok(whole >= 2 && whole < 60);
  // Four of each side are written at a time.
  assert.ok((await page.locator(".samples .halted").count()) <= 8);
  await page.locator(".writer[data-side=b]").getByRole("button", { name: "Send to Score" }).click();
  await measured(page, whole);
  assert.equal(await page.locator("#tab-score").getAttribute("aria-selected"), "true");
  assert.equal(await page.inputValue("#prompt"), await page.inputValue("#ask"));
  await page.goBack();
  await page.locator("#ask").waitFor();
  await context.close();
});

test("the page answers all the while it generates", BOUND, async (t) => {
  const { context, page } = await writer("samples=3&max_new_tokens=24");
  await page.evaluate(() => {
    globalThis.long = [];
    new PerformanceObserver((list) => globalThis.long.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
  });
  await browser.startTracing(page, { categories: ["disabled-by-default-devtools.timeline", "toplevel"] });
  await page.locator("#go").click();
  await course(page, "Done");
  await page.waitForTimeout(300);
  const longest = longestTask(JSON.parse((await browser.stopTracing()).toString()).traceEvents);
  const seen = await page.evaluate(() => globalThis.long);
  t.diagnostic(`the longest task took ${longest.toFixed(0)} ms of processor time; PerformanceObserver saw ${seen.length} of 50 ms or more by the clock: ${seen.map(Math.round)}`);
  assert.ok(longest < 50, `a task took ${longest} ms`);
  await context.close();
});

test("a worker that dies while writing is told of, and the next writing goes on with another", BOUND, async () => {
  const { context, page } = await writer("samples=40&max_new_tokens=60");
  await page.locator("#go").click();
  await page.locator(".samples .live p").first().waitFor(BOUND);
  for (const worker of page.workers()) await worker.evaluate(() => setTimeout(() => self.close())).catch(() => {});
  await page.locator("#notice").getByText(/ended/).waitFor(BOUND);
  await page.fill("#samples", "2");
  await page.locator("#go").click();
  await course(page, "Done: 2 texts of DPO, 2 texts of DDPO.");
  await context.close();
});

test("without WebGPU the page says why and writes on the CPU", BOUND, async () => {
  const plain = await launch({ webgpu: false });
  const { context, page } = await writer("samples=2&max_new_tokens=16", {}, plain);
  await page.locator("#badge").click();
  await page.locator("#badge-words").getByText("CPU").waitFor(BOUND);
  await page.waitForFunction(() => document.querySelector("#about-webgpu").textContent.length > 10, undefined, BOUND);
  assert.equal(await page.locator("[name=backend][value=webgpu]").isDisabled(), true);
  await page.keyboard.press("Escape");
  await page.locator("#go").click();
  await course(page, "Done");
  await context.close();
  await plain.close();
});

test("?backend= takes a backend, and the switch takes another", EMULATED, async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${PAGE}/?backend=cpu#write?samples=1&max_new_tokens=2`);
  await page.locator("#badge-words").getByText(/^CPU$/).waitFor(EMULATED);
  await page.locator("#badge").click();
  await page.locator("[name=backend][value=webgpu]").check();
  await page.locator("#badge-words").getByText(/^WebGPU/).waitFor(EMULATED);
  await page.locator("#models-close").click();
  await page.locator("#go").click();
  await course(page, "Done: 1 text of DPO, 1 text of DDPO.", EMULATED);
  assert.match(await page.locator(".writer[data-side=a] .status").textContent(), /in memory/);
  await context.close();
});

test("the address keeps the tab and its settings; nonsense in it does no harm", BOUND, async () => {
  const { context, page, complaints } = await writer("samples=3&temperature=0.5&top_p=0.9&prompt=A%20fox%20%F0%9F%A6%8A");
  assert.equal(await page.inputValue("#ask"), "A fox 🦊");
  assert.match(await page.locator("#sampling-words").textContent(), /^temperature 0\.5, top-p 0\.9,/);
  await page.fill("#samples", "5");
  await page.waitForFunction(() => location.hash.includes("samples=5"), undefined, BOUND);
  await page.reload();
  assert.equal(await page.inputValue("#samples"), "5");
  await page.keyboard.press("Tab");
  await page.locator("#tab-write").focus();
  await page.keyboard.press("ArrowLeft");
  assert.equal(await page.evaluate(() => document.activeElement.id), "tab-score");
  assert.equal(await page.locator("#panel-score").isVisible(), true);
  assert.equal(await page.evaluate(() => location.hash), "#score");
  await page.goto(`${PAGE}/#write?samples=-4&temperature=hot&top_k=1e99&a=hub:no%20such&%F=1`);
  await page.reload();
  assert.equal(await page.inputValue("#samples"), "64");
  assert.equal(await page.inputValue("#temperature"), "1");
  assert.equal(await page.inputValue("#model-a"), "demo:dpo");
  // A model that the address names is offered, and nothing is fetched for it.
  await page.goto(`${PAGE}/#write?a=hub:org/name`);
  await page.reload();
  assert.equal(await page.inputValue("#model-a"), "hub:org/name");
  assert.equal(await page.locator("#go").textContent(), "Load and write");
  assert.deepEqual(complaints, []);
  await context.close();
});

test("prompts of any script, none at all, and settings out of range", BOUND, async () => {
  const { context, page } = await writer("samples=2&max_new_tokens=8&temperature=0");
  for (const prompt of ["", "قال الثعلب إنه لا يعرف. 👩‍👩‍👧‍👦", "word ".repeat(900)]) {
    await page.fill("#ask", prompt);
    await page.locator("#go").click();
    await page.waitForFunction(() => !document.querySelector("#go").disabled && document.querySelector("#course").textContent !== "Writing", undefined, BOUND);
    const said = `${await page.locator("#course").textContent()}${await page.locator("#notice").textContent()}`;
    assert.match(said, /Done: 2 texts|prompt/, `${prompt.slice(0, 9)}: ${said}`);
  }
  await page.fill("#samples", "0");
  await page.locator("#go").click();
  assert.equal(await page.locator("#samples").evaluate((field) => field.validity.rangeUnderflow && document.activeElement === field), true);
  await context.close();
});

test("what the models wrote is measured as Score measures it", BOUND, async () => {
  const { context, page } = await writer("samples=4&max_new_tokens=20&seed=9");
  await page.locator("#go").click();
  await page.locator("#verdict").getByText("After 4 texts each").waitFor(BOUND);
  const [, drawn] = (await page.locator("#curve-style svg").getAttribute("aria-label")).match(/DPO ([\d.]+) after 4/);
  await page.locator(".writer[data-side=a]").getByRole("button", { name: "Send to Score" }).click();
  await measured(page, 4);
  const download = page.waitForEvent("download");
  await page.click("#json");
  const { groups } = JSON.parse(await readFile(await (await download).path(), "utf8"));
  assert.equal(groups[0].metrics.style_diversity.toFixed(2), drawn);
  await context.close();
});
