// Chromium and the page, as every test uses them.

import assert from "node:assert/strict";
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
];
/** WebGPU on the processor: it needs no graphics. */
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
/** No graphics processor, no WebGPU. */
const NO_WEBGPU = ["--disable-gpu", "--disable-features=WebGPUService", "--disable-blink-features=WebGPU"];

/** Starts Debian's Chromium, or the one that CHROMIUM names. */
export function launch({ webgpu = true } = {}) {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...FLAGS, ...(webgpu ? WEBGPU : NO_WEBGPU)] });
}

/** A fresh visitor on the page, and all that the page complained of. */
export async function visit(browser, options = {}, hash = "") {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${PAGE}/${hash}`);
  return { context, page, complaints };
}

/** Waits until this many texts are measured. */
export async function measured(page, count) {
  await page.waitForFunction((n) => document.querySelector("#panel-score").dataset.measured === String(n), count, { timeout: 60_000 });
}

/** Milliseconds of processor time (others may use the machine, too) of the page's longest task, from a trace. */
export function longestTask(events) {
  const thread = new Set(events.filter((e) => e.name === "thread_name" && e.args.name === "CrRendererMain").map((e) => `${e.pid} ${e.tid}`));
  const tasks = events.filter((e) => e.name.endsWith("RunTask") && e.tdur && thread.has(`${e.pid} ${e.tid}`));
  assert.ok(tasks.length > 0);
  return Math.max(...tasks.map((e) => e.tdur)) / 1000;
}
