// The models that there are: the demo's, those kept in this browser, those in memory; and what is
// happening to each.

import {
  cached,
  deleteCached,
  loaded,
  loadModel,
  modelSize,
  unload,
  withAdapter,
  type DemoModel,
  type Model,
  type ModelKind,
  type ModelSource,
  type Progress,
} from "../../package/src/index.ts";
import { keepWriting } from "../offline.ts";
import { Pace } from "./pace.ts";

export interface Entry {
  /** Names it in lists and in the address: `demo:ddpo`, `hub:org/name`. */
  readonly key: string;
  name: string;
  source: ModelSource;
  /** The adapter that goes onto the source's model. */
  readonly adapter?: ModelSource;
  /** Bytes to fetch or read; undefined where nobody knows yet. */
  bytes?: number;
  /** Bytes of them that are on this machine. */
  here: number;
  /** What `deleteCached` takes; without it there is nothing to delete. */
  cached?: string;
  kind?: ModelKind;
  model?: Model;
  /** While it is being loaded. */
  loading?: { progress: Progress; pace: Pace; cancel: AbortController; done: Promise<Model> };
}

const DEMO: { source: { demo: DemoModel }; name: string }[] = [
  { source: { demo: "dpo" }, name: "DPO, the demo’s" },
  { source: { demo: "ddpo" }, name: "DDPO, the demo’s" },
];
/** Kinds are known once a model was in memory, and remembered. */
const KINDS = "rarebit.kinds";

const entries = new Map<string, Entry>();
const listeners: (() => void)[] = [];

/** The name of a source in lists and in the address. */
export function keyOf(source: ModelSource): string {
  if ("demo" in source) return `demo:${source.demo}`;
  if ("hub" in source) return `hub:${source.hub}`;
  if ("url" in source) return `url:${source.url}`;
  return `folder:${source.name ?? "folder"}`;
}

function nameOf(source: ModelSource): string {
  if ("hub" in source) return source.hub;
  if ("url" in source) return source.url.replace(/^https?:\/\//, "").replace(/\/$/, "");
  if ("demo" in source) return source.demo;
  return source.name ?? "a folder";
}

for (const { source, name } of DEMO) {
  entries.set(keyOf(source), { key: keyOf(source), name, source, here: 0, kind: "causal" });
}

/** Called after anything has changed. */
export function onLibrary(listener: () => void): void {
  listeners.push(listener);
}

function changed(): void {
  for (const listener of listeners) listener();
}

export function all(): Entry[] {
  return [...entries.values()];
}

export function find(key: string): Entry | undefined {
  return entries.get(key);
}

/** Those that may write, or that may embed: whoever has not been read yet may do either. */
export function able(kind: ModelKind): Entry[] {
  return all().filter((entry) => (entry.kind ?? kind) === kind);
}

/** Adds a model, or finds it again. */
export function add(source: ModelSource, facts: { bytes?: number; here?: number; name?: string } = {}): Entry {
  const key = keyOf(source);
  let entry = entries.get(key);
  if (!entry) {
    const kind = remembered()[key];
    entry = { key, name: nameOf(source), source, here: 0, ...(kind && { kind }) };
    entries.set(key, entry);
  }
  // A folder that is picked again holds other files, maybe.
  Object.assign(entry, { source }, facts);
  changed();
  return entry;
}

/** A model and an adapter for it, as one. */
export function addAdapter(base: Entry, adapter: ModelSource): Entry {
  const key = `${base.key}+${keyOf(adapter)}`;
  const entry: Entry = entries.get(key) ?? { key, name: `${base.name} + ${nameOf(adapter)}`, source: base.source, adapter, here: 0, kind: "causal" };
  entries.set(key, entry);
  changed();
  return entry;
}

/** Whether there may be models from an earlier visit: who only scores texts fetches nothing for them. */
export const hasHistory = () => Object.keys(remembered()).some((key) => !key.startsWith("demo:"));

/** Reads anew what the browser keeps. */
export async function refresh(): Promise<void> {
  const kept = await cached();
  const ids = new Set(kept.map(({ id }) => id));
  for (const { id, name, source, bytes, total } of kept) {
    add(source, { bytes: total, here: bytes, name }).cached = id;
  }
  for (const entry of all()) {
    if (entry.cached === undefined || ids.has(entry.cached)) continue;
    delete entry.cached;
    entry.here = 0;
    if (!entry.model && !entry.loading && !("demo" in entry.source)) entries.delete(entry.key);
  }
  changed();
}

/** Finds out how large the demo's models are and how much of them is here. */
export async function weighDemo(): Promise<void> {
  for (const { source } of DEMO) {
    const { bytes, cachedBytes } = await modelSize(source);
    add(source, { bytes, here: cachedBytes });
  }
  changed();
}

/** Loads a model, or waits for whoever does already. */
export function load(entry: Entry): Promise<Model> {
  if (entry.loading) return entry.loading.done;
  if (entry.model && loaded().includes(entry.model)) return Promise.resolve(entry.model);
  const cancel = new AbortController();
  const pace = new Pace();
  const done = read(entry, cancel.signal, (progress) => {
    if (!entry.loading) return;
    entry.loading.progress = progress;
    if (progress.stage === "downloading") {
      pace.at(progress.done, progress.total);
      entry.bytes = progress.total;
      entry.here = progress.done;
    }
    changed();
  }).finally(() => {
    delete entry.loading;
    changed();
    void refresh().catch(() => {});
  });
  entry.loading = { progress: { stage: "listing", done: 0, total: 0 }, pace, cancel, done };
  changed();
  return done;
}

async function read(entry: Entry, signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<Model> {
  const options = { signal, onProgress };
  const base = entry.adapter ? await load(add(entry.source)) : await loadModel(entry.source, options);
  const model = entry.adapter ? await withAdapter(base, entry.adapter, options) : base;
  entry.model = model;
  entry.kind = model.kind;
  remember(entry.key, model.kind);
  if ("demo" in entry.source) keepWriting();
  return model;
}

export function cancel(entry: Entry): void {
  entry.loading?.cancel.abort(new DOMException("The download was stopped; what has arrived is kept.", "AbortError"));
}

/** Takes a model out of memory; its files stay. */
export async function free(entry: Entry): Promise<void> {
  const { model } = entry;
  delete entry.model;
  if (model) await unload(model);
  if ("files" in entry.source || entry.adapter) entries.delete(entry.key);
  changed();
}

/** Deletes a model's files from this browser, and takes it out of memory. */
export async function remove(entry: Entry): Promise<void> {
  cancel(entry);
  if (entry.model) await free(entry);
  if (entry.cached !== undefined) await deleteCached(entry.cached);
  await refresh();
}

function remembered(): Record<string, ModelKind> {
  try {
    return JSON.parse(localStorage.getItem(KINDS) ?? "{}") as Record<string, ModelKind>;
  } catch {
    return {};
  }
}

function remember(key: string, kind: ModelKind): void {
  if (key.startsWith("folder:")) return;
  try {
    localStorage.setItem(KINDS, JSON.stringify({ ...remembered(), [key]: kind }));
  } catch {
    // Then it is asked again when the model is read.
  }
}
