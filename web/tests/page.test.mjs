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
    const reached = await fetch("http://example.org/").then(() => true, () => false);
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

test("once the demo's models were loaded, both tabs open and work without a network", { timeout: 180_000 }, async () => {
  const { context, page } = await visit(browser, {}, "#write?samples=2&max_new_tokens=12");
  await page.locator("#offline").getByText("Write will").waitFor();
  await page.getByRole("button", { name: /^Load \d.* and write$/ }).click();
  await page.locator("#course").getByText("Done").waitFor({ timeout: 120_000 });
  await page.locator("#offline").getByText("Both tabs also open without a network.").waitFor({ timeout: 60_000 });
  await context.setOffline(true);
  await page.reload();
  await page.getByRole("button", { name: "Write", exact: true }).waitFor();
  await page.locator("#go").click();
  await page.locator("#course").getByText("Done: 2 texts of DPO, 2 texts of DDPO.").waitFor({ timeout: 120_000 });
  await page.locator("#tab-score").click();
  await measured(page, 8);
  await context.close();
});

async function violations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" | ")}`);
}

async function fits(page) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} px wider than the window`);
}

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", PHONE],
]) {
  const shoot = async (page, tab, fullPage = true) => {
    await mkdir(SHOTS, { recursive: true });
    await page.screenshot({ path: join(SHOTS, `${tab}-${name}.png`), fullPage });
  };

  test(`axe finds nothing: Score, ${name}`, async () => {
    const { context, page } = await visit(browser, options);
    await measured(page, 8);
    await page.locator(".pairs-list summary").first().click();
    await page.locator("mark").first().waitFor();
    await shoot(page, "score");
    assert.deepEqual(await violations(page), []);
    await fits(page);
    await page.getByRole("button", { name: "Paste several…" }).click();
    assert.deepEqual(await violations(page), []);
    await context.close();
  });

  test(`axe finds nothing: Write and the sheet of models, ${name}`, { timeout: 180_000 }, async () => {
    const { context, page } = await visit(browser, options, "#write?samples=4&max_new_tokens=24&seed=1");
    await page.getByRole("button", { name: /^Load \d.* and write$/ }).waitFor();
    assert.deepEqual(await violations(page), []);
    await page.locator("#go").click();
    await page.locator("#verdict").getByText("After 4 texts each").waitFor({ timeout: 150_000 });
    await page.locator("#course").getByText("Done").waitFor();
    await shoot(page, "write");
    assert.deepEqual(await violations(page), []);
    await fits(page);
    await page.locator("#badge").click();
    await page.locator("#kept").getByText("in memory").first().waitFor();
    assert.deepEqual(await violations(page), []);
    await shoot(page, "models", false);
    await context.close();
  });
}

test("every control is reached with the keyboard alone", async () => {
  const { context, page } = await visit(browser);
  await measured(page, 8);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "texts");
  await page.evaluate(() => document.activeElement.blur());
  const wanted = new Set(["tab-score", "badge", "theme", "semantic", "style", "paste", "open", "examples", "clear", "heat", "threshold", "csv", "json", "png", "order", "prompt", "add"]);
  await page.reload();
  await measured(page, 8);
  for (let i = 0; i < 80 && wanted.size > 0; i++) {
    await page.keyboard.press("Tab");
    wanted.delete(await page.evaluate(() => document.activeElement.id));
  }
  assert.deepEqual([...wanted], []);
  await context.close();
});

test("writing and its sheet are reached with the keyboard alone", async () => {
  const { context, page } = await visit(browser, {}, "#write");
  await page.getByRole("button", { name: /^Load \d.* and write$/ }).waitFor();
  const walk = async (wanted) => {
    for (let i = 0; i < 60 && wanted.size > 0; i++) {
      await page.keyboard.press("Tab");
      wanted.delete(await page.evaluate(() => document.activeElement.id || document.activeElement.className));
    }
    return [...wanted];
  };
  assert.deepEqual(await walk(new Set(["tab-write", "badge", "theme", "ask", "go", "samples", "another", "prompts", "model-a", "model-b", "pane"])), []);
  await page.locator("#badge").focus();
  await page.keyboard.press("Enter");
  assert.deepEqual(await walk(new Set(["models-close", "benchmark", "source", "folder"])), []);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "badge");
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
