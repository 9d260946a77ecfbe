// The page around the numbers: policy, offline, access, looks.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, measured, PAGE, visit } from "./browser.mjs";
import { serve } from "./static.mjs";

const SITE = join(import.meta.dirname, "../dist/site");
const SHOTS = join(import.meta.dirname, "../dist/screenshots");
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

test("the policy lets nothing in but the page's own scripts", async () => {
  const response = await fetch(PAGE);
  assert.match(response.headers.get("content-security-policy"), /default-src 'none'; script-src 'self' 'wasm-unsafe-eval'/);
  assert.equal(response.headers.get("cross-origin-embedder-policy"), "require-corp");
  assert.equal((await fetch(`${PAGE}/%2e%2e/package.json`)).status, 404);
  const { context, page } = await visit(browser);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  const ran = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "globalThis.intruder = true";
    document.body.append(script);
    const reached = await fetch("https://example.org/").then(() => true, () => false);
    return [globalThis.intruder ?? false, reached];
  });
  assert.deepEqual(ran, [false, false]);
  await context.close();
});

test("a plain host without headers will do", async () => {
  const host = await serve(SITE);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(host.url);
  await measured(page, 8);
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  await context.close();
  host.close();
});

test("after the first visit the page opens and measures without a network, and keeps the texts", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  await page.locator("#offline").getByText("without a network").waitFor();
  await page.fill(".card textarea >> nth=0", "A text of my own.");
  await page.waitForTimeout(900);
  await context.setOffline(true);
  await page.reload();
  await measured(page, 8);
  assert.equal(await page.inputValue(".card textarea >> nth=0"), "A text of my own.");
  await page.selectOption("#examples", { index: 2 });
  await measured(page, 7);
  await context.close();
});

async function violations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
}

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", PHONE],
]) {
  test(`axe finds nothing: ${name}`, async () => {
    const { context, page } = await visit(browser, options);
    await measured(page, 8);
    await page.locator(".pairs-list summary").first().click();
    await page.locator("mark").first().waitFor();
    await mkdir(SHOTS, { recursive: true });
    await page.screenshot({ path: join(SHOTS, `score-${name}.png`), fullPage: true });
    assert.deepEqual(await violations(page), []);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `the page is ${overflow} px wider than the window`);
    await page.getByRole("button", { name: "Paste several…" }).click();
    assert.deepEqual(await violations(page), []);
    await context.close();
  });
}

test("every control is reached with the keyboard alone", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => location.hash), "#texts");
  await page.evaluate(() => document.activeElement.blur());
  const wanted = new Set(["theme", "paste", "open", "examples", "clear", "heat", "threshold", "csv", "json", "png", "order", "prompt", "add"]);
  await page.reload();
  await measured(page, 8);
  for (let i = 0; i < 80 && wanted.size > 0; i++) {
    await page.keyboard.press("Tab");
    wanted.delete(await page.evaluate(() => document.activeElement.id));
  }
  assert.deepEqual([...wanted], []);
  await context.close();
});

test("the theme is switched and remembered", async () => {
  const { context, page } = await visit(browser, { colorScheme: "light" });
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await page.getByRole("button", { name: "Switch to dark colours" }).click();
  assert.notEqual(await paper(), light);
  await page.reload();
  assert.notEqual(await paper(), light);
  await context.close();
});
