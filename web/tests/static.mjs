// A server of static files with no headers of its own, as plain hosts are. It answers ranges, and
// can be slow, so that a download can be stopped half way.

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";

const KINDS = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".json": "application/json", ".wasm": "application/wasm" };
/** Bytes that a slow host sends at once. */
const PIECE = 64 * 1024;

/**
 * Serves a folder; `extra` holds further files by path: a body, or the path of a file. Files under
 * `slow.under` come at `slow.perSecond` bytes. `asked` lists what was asked for, with its range.
 */
export async function serve(folder, extra = {}, slow = { under: undefined, perSecond: 0 }) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    const name = normalize(path.endsWith("/") ? `${path}index.html` : path);
    asked.push({ name, method: request.method, range: request.headers.range });
    let whole;
    try {
      const found = extra[name];
      whole = found?.file ? await readFile(found.file) : Buffer.from(found ?? (await readFile(join(folder, name))));
    } catch {
      return response.writeHead(404).end();
    }
    const etag = `"${createHash("sha256").update(whole).digest("hex").slice(0, 16)}"`;
    const same = (request.headers["if-range"] ?? etag) === etag;
    const [, from] = (same && request.headers.range?.match(/^bytes=(\d+)-$/)) || [];
    const body = from ? whole.subarray(Number(from)) : whole;
    const headers = { "content-type": KINDS[extname(name)] ?? "application/octet-stream", "content-length": body.length, "accept-ranges": "bytes", etag };
    if (from) headers["content-range"] = `bytes ${from}-${whole.length - 1}/${whole.length}`;
    response.writeHead(from ? 206 : 200, headers);
    if (request.method === "HEAD") return response.end();
    if (slow.under && name.startsWith(slow.under)) await trickle(response, body, slow);
    response.end(slow.under && name.startsWith(slow.under) ? undefined : body);
  });
  await new Promise((resolve) => server.listen(0, "localhost", resolve));
  return { url: `http://localhost:${server.address().port}/`, asked, slow, close: () => server.close() };
}

/** Sends a body piece by piece, at the speed that holds now. */
async function trickle(response, body, slow) {
  for (let at = 0; at < body.length && !response.destroyed; at += PIECE) {
    response.write(body.subarray(at, at + PIECE));
    await new Promise((resolve) => setTimeout(resolve, (1000 * PIECE) / slow.perSecond));
  }
}
