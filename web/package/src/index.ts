/**
 * How different texts are from each other, measured on the visitor's own machine.
 *
 * All computing happens in a worker that starts at the first call; its WebAssembly is fetched then.
 */

import { Client } from "./client.ts";
import type { Read } from "./protocol.ts";
import type { CallOptions, Deviation, EmbedderInfo, Measure, Score, ScoreOptions, Shared, Split } from "./types.ts";

export type { Read } from "./protocol.ts";
export * from "./types.ts";

const client = new Client();

/** The embedders that need no weights. */
export function embedders(options?: CallOptions): Promise<EmbedderInfo[]> {
  return client.call("embedders", [], options);
}

/** The vectors of some texts, of length 1 each, in their order. */
export async function embed(
  texts: string[],
  { embedder = "builtin:lexical", ...options }: { embedder?: string } & CallOptions = {},
): Promise<Float32Array[]> {
  const all = await client.call("embed", [texts, embedder], options);
  const dims = all.length / Math.max(1, texts.length);
  return texts.map((_, row) => all.subarray(row * dims, (row + 1) * dims));
}

/** Everything that is measured of a set of texts. */
export function score(texts: string[], { signal, onProgress, ...options }: ScoreOptions & CallOptions = {}): Promise<Score> {
  return client.call("score", [texts, options], { ...(signal && { signal }), ...(onProgress && { onProgress }) });
}

/** How far each text is from the others, and the weight that follows. */
export async function deviation(texts: string[], options: ScoreOptions & CallOptions = {}): Promise<Deviation[]> {
  return (await score(texts, options)).deviations;
}

/** The measures of the whole set. */
export async function diversity(texts: string[], options: ScoreOptions & CallOptions = {}): Promise<Measure[]> {
  return (await score(texts, options)).measures;
}

/** The stretches of `text` that `other` has, too. */
export function shared(text: string, other: string, options?: CallOptions): Promise<Shared[]> {
  return client.call("shared", [text, other], options);
}

/** Reads a file or text: JSONL, JSON or CSV of groups, or plain text that is cut into responses. */
export function read(
  source: File | string,
  { name = "the text", split = "auto", ...options }: { name?: string; split?: Split } & CallOptions = {},
): Promise<Read> {
  return client.call("read", [source, name, split], options);
}

/** Ends the worker; the next call starts another. */
export function stop(): void {
  client.stop(new DOMException("The worker was stopped.", "AbortError"));
}
