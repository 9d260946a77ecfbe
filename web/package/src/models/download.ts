// Fetches a model's files into the store: goes on where it stopped, and checks what has arrived.

import { RarebitError, type ModelSource, type Progress } from "../types.ts";
import { get, message, type Expected, type Remote } from "./remote.ts";
import * as store from "./store.ts";
import { hasher } from "./wasm.ts";

/** What is read at a time for hashing. */
const PIECE = 1 << 22;
/** Bytes between two reports. */
const REPORT = 1 << 18;

/** Fetches what is missing of a model. Afterwards all its files are there and are what they should be. */
export async function download(
  remote: Remote,
  source: ModelSource,
  signal: AbortSignal,
  progress: (progress: Progress) => void,
): Promise<store.Manifest> {
  const known = await store.manifest(remote.id);
  const manifest: store.Manifest = { ...remote, source, versions: known?.versions ?? {}, checked: known?.checked ?? [] };
  await store.saveManifest(manifest);
  const total = remote.files.reduce((sum, file) => sum + file.size, 0);
  let before = 0;
  for (const file of remote.files) {
    signal.throwIfAborted();
    const done = before;
    const told = (stage: string) => (bytes: number) => progress({ stage, done: done + bytes, total, file: file.path });
    const present = await store.present(remote.id, file.path);
    if (!manifest.checked.includes(file.path) || (file.size > 0 && present !== file.size)) {
      manifest.checked = manifest.checked.filter((path) => path !== file.path);
      const handle = await store.open(remote.id, file.path);
      try {
        await fetchInto(handle, file, manifest, signal, told("downloading"));
        await check(handle, file, signal, told("checking"));
      } finally {
        handle.close();
      }
      manifest.checked.push(file.path);
      await store.saveManifest(manifest);
    }
    before += file.size;
    told("downloading")(file.size);
  }
  return manifest;
}

async function fetchInto(
  handle: store.Handle,
  file: Expected,
  manifest: store.Manifest,
  signal: AbortSignal,
  progress: (bytes: number) => void,
): Promise<void> {
  const version = manifest.versions[file.path];
  if (file.size > 0 && handle.size() === file.size) return;
  if (file.size > 0 && handle.size() > file.size) handle.truncate(0);
  const had = handle.size();
  // A part is gone on with if the host can say that it is a part of what it has now, or if the hash
  // will. (Not both: the hub's storage does not let a page send `If-Range`.)
  const headers: Record<string, string> = had > 0 && (file.hash || version) ? { range: `bytes=${had}-` } : {};
  if (had > 0 && !file.hash && version) headers["if-range"] = version;
  const response = await get(file.url, { headers, signal });
  let at = response.status === 206 ? had : 0;
  if (at === 0) handle.truncate(0);
  const etag = response.headers.get("etag");
  if (etag && !etag.startsWith("W/")) {
    manifest.versions[file.path] = etag;
    await store.saveManifest(manifest);
  }
  const reader = response.body?.getReader();
  let reported = at;
  progress(at);
  for (;;) {
    let step: ReadableStreamReadResult<Uint8Array> | undefined;
    try {
      step = await reader?.read();
    } catch (error) {
      signal.throwIfAborted();
      throw new RarebitError("network", `${file.url} broke off: ${message(error)}.`, "Try again: what has arrived is kept.");
    }
    if (!step || step.done) break;
    handle.write(step.value, at);
    at += step.value.length;
    if (at - reported >= REPORT) progress((reported = at));
  }
  if (file.size > 0 && at < file.size) {
    throw new RarebitError("network", `${file.url} broke off at ${at} of ${file.size} bytes.`, "Try again: what has arrived is kept.");
  }
}

async function check(handle: store.Handle, file: Expected, signal: AbortSignal, progress: (bytes: number) => void): Promise<void> {
  const size = handle.size();
  const wrong = (what: string): never => {
    handle.truncate(0);
    throw new RarebitError("hash", `${file.path} is not the file that was meant: ${what}. It was deleted.`, "Try again; if it stays so, do not trust the host.");
  };
  if (file.size > 0 && size !== file.size) wrong(`it has ${size} bytes, not ${file.size}`);
  if (!file.hash) return;
  const hash = await hasher(file.hash.kind === "sha256" ? "sha256" : "sha1");
  if (file.hash.kind === "git-sha1") hash.update(new TextEncoder().encode(`blob ${size}\0`));
  const piece = new Uint8Array(PIECE);
  for (let at = 0; at < size; at += PIECE) {
    const part = piece.subarray(0, Math.min(PIECE, size - at));
    handle.read(part, at);
    hash.update(part);
    progress(Math.min(size, at + PIECE));
    // Lets a message in that waits to say stop.
    await new Promise((resolve) => setTimeout(resolve));
    signal.throwIfAborted();
  }
  const found = hash.finish();
  if (found !== file.hash.hex) wrong(`its hash is ${found.slice(0, 12)}…, not ${file.hash.hex.slice(0, 12)}…`);
}
