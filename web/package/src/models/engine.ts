// Models in the worker: they are read, they write and embed, they are let go.

import type { Context, Sent } from "../protocol.ts";
import {
  RarebitError,
  type Backend,
  type Benchmark,
  type Cached,
  type GenerateOptions,
  type LoadOptions,
  type Message,
  type Model,
  type ModelKind,
  type Piece,
} from "../types.ts";
import * as backend from "./backends.ts";
import { download } from "./download.ts";
import { atTop, fromBlobs, fromStore, inFolder, type OpenFiles } from "./files.ts";
import { at, get, hub, onHub, type Remote } from "./remote.ts";
import * as store from "./store.ts";
import { wanted } from "./wanted.ts";
import { module, taken, wasm } from "./wasm.ts";

export { backends, useBackend } from "./backends.ts";

interface Held {
  model: Model;
  writer?: wasm.Writer;
  embedder?: wasm.Embedder;
  /** What names the vectors of an embedder. */
  vectors: string;
}

const held = new Map<string, Held>();
const DEMO = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
/** Architectures that only embed. */
const ENCODERS = ["bert", "roberta", "xlm-roberta", "camembert", "modernbert", "jina_embeddings_v3"];
/** A module that has taken this much and then fails has most likely run out of memory. */
const MUCH = 2 ** 31;

/** One model is read at a time: files are locked, and two at once need twice the memory. */
let reading: Promise<unknown> = Promise.resolve();

function alone<T>(task: () => Promise<T>): Promise<T> {
  const done = reading.then(task);
  reading = done.catch(() => {});
  return done;
}

/** The longest that one backend is measured. */
const PATIENCE = 30_000;

const demoName = { dpo: "DPO (demo)", ddpo: "DDPO (demo)" };

/** What a source is called, and its files, open; fetched if they must be. */
async function files(context: Context, source: Sent): Promise<{ name: string; files: OpenFiles }> {
  if ("demo" in source) {
    if (!(source.demo in demoName)) throw new RarebitError("input", `There is no demo's model "${String(source.demo)}".`, "There are dpo and ddpo.");
    return { name: demoName[source.demo], files: await shipped(context, source.demo) };
  }
  if ("files" in source) {
    const all = source.files instanceof Array ? new Map<string, Blob>(source.files.map(({ path, file }) => [path, file])) : await inFolder(source.files);
    const top = atTop(all);
    const paths = wanted([...top.keys()]);
    return { name: source.name, files: fromBlobs(new Map([...top].filter(([path]) => paths.includes(path)))) };
  }
  const remote = await locate(context, source);
  const manifest = await download(remote, source, context.signal, context.progress);
  return { name: remote.name, files: await fromStore(remote.id, manifest.files.map((file) => file.path)) };
}

/** Where a source's files are. What is kept whole is not asked for again. */
async function locate(context: Context, source: Exclude<Sent, { demo: unknown } | { files: unknown }>): Promise<Remote> {
  context.progress({ stage: "listing", done: 0, total: 1 });
  const kept = (await store.manifests()).find((one) => JSON.stringify(one.source) === JSON.stringify(source));
  if (kept && kept.checked.length === kept.files.length) return kept;
  if ("hub" in source) return hub(source.hub, source.endpoint, context.signal);
  const named = onHub(source.url);
  return named ? hub(named, undefined, context.signal) : at(source.url, context.signal);
}

async function shipped(context: Context, demo: string): Promise<OpenFiles> {
  const { signal } = context;
  const responses = await Promise.all(DEMO.map((path) => get(new URL(`./models/${demo}/${path}`, import.meta.url).href, { signal })));
  const total = responses.reduce((sum, response) => sum + Number(response.headers.get("content-length") ?? 0), 0);
  let done = 0;
  const blobs = new Map<string, Blob>();
  for (const [i, path] of DEMO.entries()) {
    const told = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, stream) {
        done += chunk.length;
        context.progress({ stage: "downloading", done, total: Math.max(done, total), file: path });
        stream.enqueue(chunk);
      },
    });
    blobs.set(path, await new Response(responses[i]?.body?.pipeThrough(told) ?? null).blob());
  }
  return fromBlobs(blobs);
}

/** How much a demo's files are, and how much of them the page's service worker keeps; nothing is fetched. */
async function shippedSize(demo: string, signal: AbortSignal): Promise<{ bytes: number; cachedBytes: number }> {
  let [bytes, cachedBytes] = [0, 0];
  for (const path of DEMO) {
    const url = new URL(`./models/${demo}/${path}`, import.meta.url).href;
    const head = await get(url, { method: "HEAD", signal });
    const size = Number(head.headers.get("content-length") ?? 0);
    bytes += size;
    if (await globalThis.caches?.match(url)) cachedBytes += size;
  }
  return { bytes, cachedBytes };
}

export function loadModel(context: Context, id: string, source: Sent, options: Pick<LoadOptions, "backend" | "kind">): Promise<Model> {
  return alone(async () => {
    await context.check();
    await module();
    const { name, files: open } = await files(context, source);
    try {
      await context.check();
      const names = open.names();
      if (!names.includes("config.json")) {
        const adapter = names.includes("adapter_config.json");
        throw new RarebitError("file", adapter ? `${name} is an adapter, not a model.` : `${name} has no config.json.`, adapter ? "Load its base first, then put the adapter on it." : "");
      }
      const config = settings(open, "config.json");
      const kind = options.kind ?? kindOf(names, config);
      const on = await backend.open(options.backend ?? "auto");
      context.progress({ stage: "loading", done: 0, total: 1 });
      const common = { id, name, kind, ...on, adapter: null, architecture: String(config.model_type ?? "") };
      const found = kind === "causal" ? write(open, common) : embedder(open, common);
      held.get(id)?.writer?.free();
      held.get(id)?.embedder?.free();
      held.set(id, found);
      return found.model;
    } finally {
      open.close();
    }
  });
}

type Common = Pick<Model, "id" | "name" | "kind" | "backend" | "device" | "adapter" | "architecture">;

function write(files: OpenFiles, common: Common): Held {
  const now = new Date(Date.now() - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  const writer = new wasm.Writer(files, common.name, common.backend, now);
  return { model: { ...common, dims: 0, ...(writer.info() as WriterInfo) }, writer, vectors: "" };
}

function embedder(files: OpenFiles, common: Common): Held {
  const embedder = new wasm.Embedder(files, common.name, common.backend);
  const { id: vectors, ...info } = embedder.info() as EmbedderInfo;
  return { model: { ...common, chat: false, ...info }, embedder, vectors };
}

type WriterInfo = Pick<Model, "bytes" | "parameters" | "contextLength" | "chat">;
type EmbedderInfo = Pick<Model, "bytes" | "parameters" | "contextLength" | "dims"> & { id: string };

function settings(files: OpenFiles, path: string): Record<string, unknown> {
  try {
    return JSON.parse(files.text(path)) as Record<string, unknown>;
  } catch (error) {
    throw new RarebitError("file", `${path} is not what it should be: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

function kindOf(names: string[], config: Record<string, unknown>): ModelKind {
  const sentences = names.includes("modules.json") || names.some((name) => /^(config_sentence|sentence_).*\.json$/.test(name));
  return sentences || ENCODERS.includes(String(config.model_type)) ? "embedder" : "causal";
}

export function withAdapter(context: Context, id: string, base: string, source: Sent): Promise<Model> {
  return alone(async () => {
    await context.check();
    const below = known(base);
    if (!below.writer) throw new RarebitError("input", `${below.model.name} does not write, and takes no adapter.`);
    const { name, files: open } = await files(context, source);
    try {
      if (!open.names().includes("adapter_config.json")) throw new RarebitError("file", `${name} is no adapter: it has no adapter_config.json.`, "peft saves one with save_pretrained.");
      context.progress({ stage: "loading", done: 0, total: 1 });
      const writer = below.writer.withAdapter(open, name);
      const model = { ...below.model, id, adapter: name, ...(writer.info() as WriterInfo) };
      held.set(id, { model, writer, vectors: "" });
      return model;
    } finally {
      open.close();
    }
  });
}

export async function unload(_: Context, id: string): Promise<void> {
  held.get(id)?.writer?.free();
  held.get(id)?.embedder?.free();
  held.delete(id);
}

function known(id: string): Held {
  const found = held.get(id);
  if (!found) throw new RarebitError("input", "The model was let go; load it again.");
  return found;
}

const DEFAULTS = { maxNewTokens: 256, temperature: 1, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, seed: 0, numReturnSequences: 1 };

export async function generate(context: Context, id: string, prompt: string | Message[], options: GenerateOptions): Promise<void> {
  const { writer } = known(id);
  if (!writer) throw new RarebitError("input", "This model does not write: it gives texts vectors.");
  const asked = { ...DEFAULTS, ...options };
  for (const [name, least] of [["maxNewTokens", 0], ["topK", 0], ["seed", 0], ["numReturnSequences", 1]] as const) {
    if (!Number.isSafeInteger(asked[name]) || asked[name] < least) throw new RarebitError("input", `${name} is ${asked[name]}; it is a whole number from ${least} on.`);
  }
  if (asked.numReturnSequences > 64) throw new RarebitError("input", "At most 64 texts are written side by side.");
  await context.check();
  const texts = writer.begin(prompt, asked);
  try {
    let tokens = 0;
    let started: number | undefined;
    for (;;) {
      const pieces = (await texts.step()) as Omit<Piece, "tokensPerSecond">[];
      if (pieces.length === 0) return;
      tokens += pieces.filter((piece) => piece.token !== null).length;
      // The first token comes with the reading of the prompt.
      const seconds = started === undefined ? 0 : (performance.now() - started) / 1000;
      started ??= performance.now();
      const tokensPerSecond = seconds > 0 ? tokens / seconds : 0;
      for (const piece of pieces) context.emit({ ...piece, finishReason: piece.finishReason ?? null, token: piece.token ?? null, tokensPerSecond });
      await context.check();
    }
  } finally {
    texts.free();
  }
}

/** The vectors of the texts by a model in memory, row after row, and what names them. */
export async function embedWith(context: Context, id: string, texts: string[]): Promise<Float32Array> {
  const { embedder } = known(id);
  if (!embedder) throw new RarebitError("input", "This model gives no vectors: it writes.");
  await context.check();
  const vectors = embedder.begin(texts);
  const total = vectors.remaining;
  for (;;) {
    context.progress({ stage: "embedding", done: total - vectors.remaining, total });
    if (!(await vectors.step())) return vectors.finish();
    await context.check();
  }
}

/** What names the vectors of a model, and how many components they have. */
export function vectorsOf(id: string): { id: string; dims: number } {
  const { model, vectors } = known(id);
  return { id: vectors, dims: model.dims };
}

export async function benchmark(context: Context): Promise<Benchmark> {
  const { webgpu } = await backend.backends();
  const tokensPerSecond: Record<Backend, number | null> = { webgpu: null, cpu: null };
  const each: Backend[] = webgpu.available ? ["cpu", "webgpu"] : ["cpu"];
  for (const [i, one] of each.entries()) {
    context.progress({ stage: "measuring", done: i, total: each.length });
    tokensPerSecond[one] = await speed(context, one).catch((error: unknown) => {
      context.signal.throwIfAborted();
      // The faster of two is wanted, not an error of one.
      if (one === "cpu") throw error;
      return null;
    });
  }
  const fastest = (tokensPerSecond.webgpu ?? 0) > (tokensPerSecond.cpu ?? 0) ? "webgpu" : "cpu";
  const found = { tokensPerSecond, fastest, adapter: webgpu.adapter, at: Date.now() } satisfies Benchmark;
  await backend.remember(found);
  return found;
}

/** Tokens per second of the demo's model: the second of two runs, since the first compiles shaders. */
async function speed(context: Context, on: Backend): Promise<number> {
  const id = `benchmark ${on}`;
  const late = AbortSignal.timeout(PATIENCE);
  const check = async () => {
    await context.check();
    late.throwIfAborted();
  };
  await loadModel({ ...context, progress: () => {} }, id, { demo: "dpo" }, { backend: on });
  try {
    let speed = 0;
    for (const maxNewTokens of [4, 32]) {
      const quiet = { ...context, check, progress: () => {}, emit: (piece: { tokensPerSecond: number }) => (speed = piece.tokensPerSecond || speed) };
      await generate(quiet, id, "Write a short tale about a baker and a key in the swamp.", { maxNewTokens, numReturnSequences: 4, temperature: 1 });
    }
    return speed;
  } finally {
    await unload(context, id);
  }
}

export async function cached(): Promise<Cached[]> {
  const found = await store.manifests();
  return Promise.all(
    found.map(async (one) => ({ id: one.id, name: one.name, source: one.source, ...(await store.amount(one)), complete: one.checked.length === one.files.length })),
  );
}

export const deleteCached = (_: Context, id: string): Promise<void> => alone(() => store.remove(id));

export async function modelSize(context: Context, source: Sent): Promise<{ bytes: number; cachedBytes: number }> {
  if ("demo" in source) return shippedSize(source.demo, context.signal);
  if ("files" in source) {
    const { files: open } = await files(context, source);
    const bytes = open.names().reduce((sum, name) => sum + open.size(name), 0);
    open.close();
    return { bytes, cachedBytes: bytes };
  }
  const { bytes, total } = await store.amount(await locate(context, source));
  return { bytes: total, cachedBytes: bytes };
}

/** Ends the graphics device as a driver that restarts does; for tests. */
export const loseGpu = async (): Promise<void> => wasm.loseGpu();

/** Whether a module that fails now has most likely run out of memory. */
export const isFull = async (): Promise<boolean> => (await taken()) >= MUCH;
