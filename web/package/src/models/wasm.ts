// The WebAssembly module with models, fetched when the first model is wanted.

import init, * as wasm from "#models";
import { RarebitError } from "../types.ts";

let ready: Promise<{ memory: WebAssembly.Memory }> | undefined;

export function module(): Promise<{ memory: WebAssembly.Memory }> {
  ready ??= init({ module_or_path: new URL("./models_bg.wasm", import.meta.url) }).catch((error: unknown) => {
    ready = undefined;
    const message = error instanceof Error ? error.message : String(error);
    throw new RarebitError("load", `The module for models could not be loaded: ${message}`, "Reload the page while there is a connection.");
  });
  return ready;
}

/** Bytes that the module has taken by now. */
export const taken = async () => (ready ? (await ready).memory.buffer.byteLength : 0);

/** Hashes what it is given piece by piece. */
export async function hasher(algorithm: "sha1" | "sha256"): Promise<wasm.Hasher> {
  await module();
  return new wasm.Hasher(algorithm);
}

export { wasm };
