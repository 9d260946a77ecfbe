// What passes between the caller's thread and the worker.

import type {
  Backend,
  Backends,
  Benchmark,
  Cached,
  EmbedderInfo,
  ErrorCode,
  GenerateOptions,
  Group,
  LoadOptions,
  Message,
  Model,
  ModelSource,
  Piece,
  Progress,
  Score,
  Shared,
  Split,
  Weighting,
} from "./types.ts";

/** Where a model's files are, as it is sent: files know their folder only on the caller's side. */
export type Sent =
  | Exclude<ModelSource, { files: unknown }>
  | { files: { path: string; file: File }[] | FileSystemDirectoryHandle; name: string };

/** Where vectors come from, as it is sent: an embedder's name, a model's id, or the vectors. */
export type Origin = string | { model: string } | Float32Array[];

/** The calls that the worker answers, by name: arguments to value. */
export interface Calls {
  embedders(): EmbedderInfo[];
  embed(texts: string[], origin: Origin): Float32Array;
  score(texts: string[], semantic: Origin, style: Origin, weighting: Weighting): Score;
  shared(text: string, other: string): Shared[];
  read(file: File | string, name: string, split: Split): Read;
  loadModel(id: string, source: Sent, options: Pick<LoadOptions, "backend" | "kind">): Model;
  withAdapter(id: string, base: string, source: Sent): Model;
  unload(id: string): void;
  /** Answers with pieces, and at the end with nothing. */
  generate(id: string, prompt: string | Message[], options: GenerateOptions): void;
  backends(): Backends;
  useBackend(backend: Backend | "auto"): Backends;
  benchmark(): Benchmark;
  cached(): Cached[];
  deleteCached(id: string): void;
  modelSize(source: Sent): { bytes: number; cachedBytes: number };
  loseGpu(): void;
}

/** A file that was read. */
export interface Read {
  groups: Group[];
  /** What it was read as, in words, such as `text, split at blank lines`. */
  as: string;
  /** Whether another split would read it differently. */
  splittable: boolean;
}

export type Name = keyof Calls;
export type Arguments<N extends Name> = Parameters<Calls[N]>;
export type Value<N extends Name> = ReturnType<Calls[N]>;

export type Request =
  | { id: number; call: Name; args: unknown[] }
  /** Ends call `id`; it is answered with an error. */
  | { id: number; cancel: true };

export type Answer =
  | { id: number; value: unknown }
  | { id: number; progress: Progress }
  | { id: number; piece: Piece }
  /** After a fatal one the worker ends. */
  | { id: number; error: { code: ErrorCode | "abort"; message: string; remedy: string }; fatal: boolean };

/** What an engine is given beside its arguments. */
export interface Context {
  /** Throws when the call was cancelled; between two pieces of work. */
  check(): Promise<void>;
  /** Aborted when the call was cancelled. */
  signal: AbortSignal;
  progress(progress: Progress): void;
  emit(piece: Piece): void;
}

/** The name of the lock that a worker holds for as long as it lives. */
export const lockName = (worker: string) => `rarebit-worker-${worker}`;
