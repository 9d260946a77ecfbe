// Scoring: the WebAssembly module without models, and the vectors it remembers.

import init, * as wasm from "#score";
import type { Context, Origin } from "./protocol.ts";
import {
  RarebitError,
  type Deviation,
  type EmbedderInfo,
  type Kind,
  type Measure,
  type Plane,
  type Score,
  type Shared,
  type Weighting,
} from "./types.ts";

/** Vectors that are kept, so that a changed text does not measure the others again. */
const REMEMBERED = 4096;
/** Texts between two looks at whether the call was cancelled, and the characters they may have. */
const AT_ONCE = { texts: 64, characters: 200_000 };

let ready: Promise<unknown> | undefined;

function module(): Promise<unknown> {
  ready ??= init({ module_or_path: new URL("./score_bg.wasm", import.meta.url) }).catch((error: unknown) => {
    ready = undefined;
    throw new RarebitError("load", `The scoring module could not be loaded: ${message(error)}`);
  });
  return ready;
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

export async function embedders(_: Context): Promise<EmbedderInfo[]> {
  await module();
  return wasm.embedders() as EmbedderInfo[];
}

const remembered = new Map<string, Float32Array>();

/** Models that embed, in case vectors are wanted of one. */
export interface Models {
  /** The vectors of the texts, row after row. */
  embed(context: Context, id: string, texts: string[]): Promise<Float32Array>;
  info(id: string): Promise<{ id: string; dims: number }>;
}

/** What gives vectors, and how many components they have. */
async function origin(models: Models, from: Origin): Promise<{ id: string; dims: number }> {
  if (typeof from === "string") return known(from);
  if ("model" in from) return models.info(from.model);
  return { id: "given", dims: from[0]?.length ?? 0 };
}

/** The vectors of the texts, row after row. */
export async function embed(context: Context, models: Models, texts: string[], from: Origin): Promise<Float32Array> {
  await module();
  const info = await origin(models, from);
  if (from instanceof Array) return given(from, texts.length, info.dims);
  const key = (text: string) => `${info.id}\n${text}`;
  const missing = [...new Set(texts)].filter((text) => !remembered.has(key(text)));
  const found = new Map<string, Float32Array>();
  for (const batch of typeof from === "string" ? batches(missing) : [missing]) {
    context.progress({ stage: "embedding", done: found.size, total: missing.length });
    await context.check();
    const rows = typeof from === "string" ? wasm.embed(from, batch) : await models.embed(context, from.model, batch);
    batch.forEach((text, row) => found.set(text, rows.slice(row * info.dims, (row + 1) * info.dims)));
  }
  const all = new Float32Array(texts.length * info.dims);
  texts.forEach((text, row) => {
    const vector = found.get(text) ?? remembered.get(key(text));
    all.set(vector ?? [], row * info.dims);
  });
  for (const [text, vector] of found) {
    remembered.set(key(text), vector);
  }
  for (const oldest of remembered.keys()) {
    if (remembered.size <= REMEMBERED) break;
    remembered.delete(oldest);
  }
  return all;
}

/** Vectors that the caller has, row after row. */
function given(rows: Float32Array[], count: number, dims: number): Float32Array {
  if (rows.length !== count || rows.some((row) => row.length !== dims)) {
    throw new RarebitError("input", `The ${rows.length} vectors do not belong to the ${count} texts, or differ in length.`);
  }
  const all = new Float32Array(count * dims);
  rows.forEach((row, i) => all.set(row, i * dims));
  return all;
}

async function known(name: string): Promise<EmbedderInfo> {
  const all = wasm.embedders() as EmbedderInfo[];
  const found = all.find((embedder) => embedder.name === name);
  if (!found) {
    const names = all.map((embedder) => embedder.name).join(", ");
    throw new RarebitError("input", `There is no embedder "${name}"; there are ${names}.`);
  }
  return found;
}

function* batches(texts: string[]): Generator<string[]> {
  let batch: string[] = [];
  let characters = 0;
  for (const text of texts) {
    if (batch.length > 0 && (batch.length >= AT_ONCE.texts || characters + text.length > AT_ONCE.characters)) {
      yield batch;
      batch = [];
      characters = 0;
    }
    batch.push(text);
    characters += text.length;
  }
  if (batch.length > 0) {
    yield batch;
  }
}

export async function score(
  context: Context,
  models: Models,
  texts: string[],
  semantic: Origin,
  style: Origin,
  weighting: Weighting,
): Promise<Score> {
  const origins: Record<Kind, Origin> = { semantic, style };
  const ids: Record<Kind, string> = { semantic: "", style: "" };
  const matrices = {} as Record<Kind, wasm.Distances>;
  try {
    for (const kind of ["semantic", "style"] as const) {
      const rows = await embed(context, models, texts, origins[kind]);
      ids[kind] = (await origin(models, origins[kind])).id;
      await context.check();
      matrices[kind] = new wasm.Distances(rows, texts.length);
    }
    context.progress({ stage: "measuring", done: 0, total: 1 });
    await context.check();
    return {
      deviations: deviations(matrices, weighting),
      distances: { semantic: matrices.semantic.values(), style: matrices.style.values() },
      plane: { semantic: plane(matrices.semantic), style: plane(matrices.style) },
      measures: wasm.measures(texts, matrices.semantic, matrices.style) as Measure[],
      embedders: ids,
    };
  } finally {
    matrices.semantic?.free();
    matrices.style?.free();
  }
}

interface Weighed {
  normalized_semantic: number[];
  normalized_style: number[];
  weights: number[];
}

function deviations(matrices: Record<Kind, wasm.Distances>, weighting: Weighting): Deviation[] {
  let weighed: Weighed;
  try {
    weighed = wasm.weigh(matrices.semantic, matrices.style, weighting) as Weighed;
  } catch (error) {
    throw new RarebitError("input", message(error));
  }
  const semantic = matrices.semantic.deviations();
  const style = matrices.style.deviations();
  return weighed.weights.map((weight, i) => ({
    semantic: number(semantic[i]),
    style: number(style[i]),
    normalizedSemantic: weighed.normalized_semantic[i] ?? 0.5,
    normalizedStyle: weighed.normalized_style[i] ?? 0.5,
    weight,
  }));
}

const number = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? null : value);

function plane(matrix: wasm.Distances): Plane {
  const numbers = matrix.plane();
  const pairs: [number, number][] = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    pairs.push([numbers[i] ?? 0, numbers[i + 1] ?? 0]);
  }
  const shares = pairs.pop() ?? [0, 0];
  return { points: pairs, shares };
}

export async function shared(_: Context, text: string, other: string): Promise<Shared[]> {
  await module();
  const numbers = wasm.shared(text, other);
  const stretches: Shared[] = [];
  for (let i = 0; i + 2 < numbers.length; i += 3) {
    stretches.push({ start: numbers[i] ?? 0, end: numbers[i + 1] ?? 0, phrase: numbers[i + 2] === 1 });
  }
  return stretches;
}
