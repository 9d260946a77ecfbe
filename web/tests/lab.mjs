// A page that has imported the npm package, beside folders of models: what the tests of models work in.

import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, normalize } from "node:path";
import { launch } from "./browser.mjs";
import { serve } from "./static.mjs";

const ROOT = join(import.meta.dirname, "../..");
export const PACKAGE = join(ROOT, "web/dist/package");
export const BASE = join(ROOT, "native/demo");
/** The folder of all-MiniLM-L6-v2, if it is here. */
export const MINILM = process.env.RAREBIT_MINILM;
export const RAREBIT = process.env.RAREBIT ?? join(ROOT, "target/release/rarebit");

/** The rows that the command line writes: `{response, tokens, finish_reason}` each. */
export function native(model, prompt, ...options) {
  const output = execFileSync(RAREBIT, ["generate", model, "--prompt", prompt, "--json", "--device", "cpu", ...options], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return output.trim().split("\n").map((line) => JSON.parse(line));
}

/**
 * A host of models that does as it is told. `folders` maps names to folders, or to files by path.
 * `host.slow` bytes are sent and then nothing more; `host.log` says what was asked for.
 */
export async function modelHost(folders) {
  const host = { log: [], stallAfter: Infinity, drop: false };
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname)).slice(1);
    const [name, ...rest] = path.split("/");
    const folder = folders[name];
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "range, if-range");
    response.setHeader("access-control-expose-headers", "etag, content-length, content-range");
    response.setHeader("cross-origin-resource-policy", "cross-origin");
    if (request.method === "OPTIONS") return response.writeHead(204).end();
    host.log.push(`${request.method} ${rest.join("/")} ${request.headers.range ?? ""}`.trim());
    try {
      const body = typeof folder === "string" ? await readFile(join(folder, ...rest)) : folder?.[rest.join("/")];
      if (body === undefined) throw new Error("absent");
      const bytes = Buffer.from(body);
      const etag = `"${bytes.length}-${name}"`;
      const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
      const goesOn = from !== undefined && (request.headers["if-range"] ?? etag) === etag;
      const part = bytes.subarray(goesOn ? Number(from) : 0);
      const headers = { etag, "content-length": part.length, "accept-ranges": "bytes" };
      if (goesOn) headers["content-range"] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
      response.writeHead(goesOn ? 206 : 200, headers);
      if (request.method === "HEAD") return response.end();
      if (part.length <= host.stallAfter) return response.end(part);
      response.write(part.subarray(0, host.stallAfter), () => host.drop && response.destroy());
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "localhost", resolve));
  host.url = `http://localhost:${server.address().port}/`;
  host.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return host;
}

/** A browser with a page that has the package as `rarebit`. `flags` are added to the browser's. */
export async function lab() {
  const browser = await launch();
  const files = { "/empty.html": `<!doctype html><link rel="icon" href="data:,">` };
  const host = await serve(PACKAGE, files);
  const page = async () => {
    const page = await browser.newPage();
    await page.goto(`${host.url}empty.html`);
    await page.evaluate(`import("./index.js").then((rarebit) => { globalThis.rarebit = rarebit; })`);
    return page;
  };
  const close = async () => {
    host.close();
    await browser.close();
  };
  return { browser, page, close, url: host.url };
}

/** The files of a folder as a page's own, `[path, base64][]`: to be opened as from a file input. */
export async function folderOf(path, prefix = "") {
  const found = [];
  for (const name of await readdir(path)) {
    const at = join(path, name);
    if ((await stat(at)).isDirectory()) found.push(...(await folderOf(at, `${prefix}${name}/`)));
    else found.push([`${prefix}${name}`, (await readFile(at)).toString("base64")]);
  }
  return found;
}

/** A safetensors file of f32 tensors, `{name: {shape, values}}`. */
export function safetensors(tensors) {
  const header = {};
  const parts = [];
  let at = 0;
  for (const [name, { shape, values, dtype = "F32" }] of Object.entries(tensors)) {
    const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    parts.push(bytes);
    at += bytes.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

/** Numbers from -1 to 1 that look random and are always the same. */
export function numbers(count, seed = 1) {
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = state / 2 ** 31 - 1;
  }
  return values;
}

