/**
 * How different texts are from each other, measured on the visitor's own machine.
 *
 * All computing happens in a worker that starts at the first call; its WebAssembly is fetched then.
 */

import { Client } from "./client.ts";
import { Models, prepared } from "./handles.ts";
import type { Origin, Read } from "./protocol.ts";
import type {
  Backend,
  Backends,
  Benchmark,
  Cached,
  CallOptions,
  Deviation,
  EmbedderInfo,
  GenerateOptions,
  LoadOptions,
  Measure,
  Message,
  Model,
  ModelSource,
  Piece,
  Score,
  ScoreOptions,
  Shared,
  Split,
  Vectors,
} from "./types.ts";

export type { Read } from "./protocol.ts";
export * from "./types.ts";

const client = new Client();
const models = new Models(client);

/** What vectors come from, as the worker knows it. */
async function origin(from: Vectors, options: CallOptions): Promise<Origin> {
  return typeof from === "string" || from instanceof Array ? from : { model: await models.id(from, options) };
}

const only = ({ signal, onProgress }: CallOptions): CallOptions => ({ ...(signal && { signal }), ...(onProgress && { onProgress }) });

/** The embedders that need no weights. */
export function embedders(options?: CallOptions): Promise<EmbedderInfo[]> {
  return client.call("embedders", [], options);
}

/** The vectors of some texts, of length 1 each, in their order; by a built-in embedder or a model. */
export async function embed(
  texts: string[],
  { embedder = "builtin:lexical", ...options }: { embedder?: string | Model } & CallOptions = {},
): Promise<Float32Array[]> {
  const all = await client.call("embed", [texts, await origin(embedder, options)], options);
  const dims = all.length / Math.max(1, texts.length);
  return texts.map((_, row) => all.subarray(row * dims, (row + 1) * dims));
}

/** Everything that is measured of a set of texts. */
export async function score(texts: string[], options: ScoreOptions & CallOptions = {}): Promise<Score> {
  const { signal, onProgress, semantic = "builtin:lexical", style = "builtin:style", ...weighting } = options;
  const how = only(options);
  return client.call("score", [texts, await origin(semantic, how), await origin(style, how), weighting], how);
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

/**
 * Reads a model: one that writes, or one that embeds. Its files come from the page's own host, from
 * this machine, or are downloaded, kept and checked; a download that was cancelled goes on where it
 * stopped.
 */
export function loadModel(source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  return models.load(source, options);
}

/** The same model with an adapter (peft's LoRA). Both share the weights below it, which are not read again. */
export function withAdapter(model: Model, adapter: ModelSource, options: CallOptions = {}): Promise<Model> {
  return models.adapt(model, adapter, only(options));
}

/** Lets a model go. */
export function unload(model: Model): Promise<void> {
  return models.unload(model);
}

/** The models in memory. */
export function loaded(): Model[] {
  return models.all();
}

/**
 * Writes on from a prompt, token by token. Leaving the loop stops the writing. A prompt that is plain
 * text is a user's turn to a model with a chat template. Two of these take turns.
 */
export function generate(model: Model, prompt: string | Message[], options: GenerateOptions = {}): AsyncGenerator<Piece, void, undefined> {
  return models.generate(model, prompt, options);
}

/** What can compute here. */
export function backends(options?: CallOptions): Promise<Backends> {
  return client.call("backends", [], options);
}

/** Chooses what computes where `loadModel` is not told; it is remembered. */
export function useBackend(backend: Backend | "auto"): Promise<Backends> {
  return client.call("useBackend", [backend]);
}

/** Times the demo's model on each backend; it is remembered, and `auto` takes the faster from then on. */
export function benchmark(options: CallOptions = {}): Promise<Benchmark> {
  return client.call("benchmark", [], only(options));
}

/** The models whose files are kept in the browser. */
export function cached(options?: CallOptions): Promise<Cached[]> {
  return client.call("cached", [], options);
}

/** Deletes the files of a model that are kept. */
export function deleteCached(id: string): Promise<void> {
  return client.call("deleteCached", [id]);
}

/** What `loadModel` would read of a model, and how much of it is here already. */
export async function modelSize(source: ModelSource, options: CallOptions = {}): Promise<{ bytes: number; cachedBytes: number }> {
  return client.call("modelSize", [await prepared(source)], only(options));
}

/** Ends the graphics device as a driver that restarts does: to see what a page makes of it. */
export function loseGpu(): Promise<void> {
  return client.call("loseGpu", []);
}

/** Ends the worker; the next call starts another, and reads the models again that it uses. */
export function stop(): void {
  client.stop(new DOMException("The worker was stopped.", "AbortError"));
}
