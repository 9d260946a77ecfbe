// Chromium and the page, as every test uses them.

import { chromium } from "playwright-core";

/** Where `cargo xtask web --test` serves the page. */
export const PAGE = process.env.RAREBIT_PAGE ?? "http://localhost:8080";

const FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
];

/** Starts Debian's Chromium, or the one that CHROMIUM names. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** A fresh visitor on the page, and all that the page complained of. */
export async function visit(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(PAGE);
  return { context, page, complaints };
}

/** Waits until this many texts are measured. */
export async function measured(page, count) {
  await page.waitForFunction((n) => document.querySelector("#score").dataset.measured === String(n), count, { timeout: 60_000 });
}
