// What passes between the caller's thread and the worker.

import type { EmbedderInfo, ErrorCode, Group, Progress, Score, ScoreOptions, Shared, Split } from "./types.ts";

/** The calls that the worker answers, by name: arguments to value. */
export interface Calls {
  embedders(): EmbedderInfo[];
  embed(texts: string[], embedder: string): Float32Array;
  score(texts: string[], options: ScoreOptions): Score;
  shared(text: string, other: string): Shared[];
  read(file: File | string, name: string, split: Split): Read;
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
  | { id: number; error: { code: ErrorCode | "abort"; message: string } };

/** What an engine is given beside its arguments. */
export interface Context {
  /** Throws when the call was cancelled; between two pieces of work. */
  check(): Promise<void>;
  progress(progress: Progress): void;
}

/** The name of the lock that a worker holds for as long as it lives. */
export const lockName = (worker: string) => `rarebit-worker-${worker}`;
