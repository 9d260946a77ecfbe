// The page in Debian's Firefox, which has no WebGPU there: what is measured and written on the CPU.
// Playwright needs a Firefox of its own; Puppeteer drives any by WebDriver BiDi.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import puppeteer from "puppeteer-core";
import { PAGE } from "./browser.mjs";

const FIREFOX = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
const PATIENCE = 120_000;

test("Firefox scores the example and writes on the CPU", { timeout: 3 * PATIENCE }, async (t) => {
  if (!existsSync(FIREFOX)) return t.skip(`skipped: there is no ${FIREFOX}`);
  const browser = await puppeteer.launch({ browser: "firefox", executablePath: FIREFOX, timeout: PATIENCE, protocolTimeout: PATIENCE });
  try {
    const page = await browser.newPage();
    const says = (selector, words) => page.waitForFunction((selector, words) => document.querySelector(selector)?.textContent.includes(words), { timeout: PATIENCE }, selector, words);
    await page.goto(PAGE);
    await says("#finding", "8 texts, on average 0.75 apart in what they tell and 0.70");
    await page.goto(`${PAGE}/#write?samples=2&max_new_tokens=8`);
    await says("#go", "and write");
    await page.click("#go");
    await says("#course", "Done: 2 texts of DPO, 2 texts of DDPO.");
    assert.match(await page.$eval(".writer[data-side=a] .status", (status) => status.textContent), /in memory, .* on CPU/);
    t.diagnostic(await page.$eval(".writer[data-side=a] .speed", (speed) => speed.textContent));
  } finally {
    await browser.close();
  }
});
