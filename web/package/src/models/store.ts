// Files of models in the browser's own file system (OPFS), or in memory where there is none.

import type { Expected, Remote } from "./remote.ts";
import { RarebitError, type ModelSource } from "../types.ts";

/** What is written down of a model beside its files. */
export interface Manifest extends Remote {
  source: ModelSource;
  /** What the host called each file's version, so that a part of one is not gone on with as another's. */
  versions: Record<string, string>;
  /** The files that are whole and whose hash was found right. */
  checked: string[];
}

/** A file that is read and written at once. */
export interface Handle {
  size(): number;
  read(into: Uint8Array, at: number): void;
  write(bytes: Uint8Array, at: number): void;
  truncate(size: number): void;
  close(): void;
}

const FOLDER = "rarebit-models";
const MANIFEST = "manifest.json";
const SETTINGS = "rarebit-settings.json";

const root = () => navigator.storage.getDirectory();
const models = async () => (await root()).getDirectoryHandle(FOLDER, { create: true });
const own = async (id: string) => (await models()).getDirectoryHandle(encodeURIComponent(id), { create: true });

/** Where there is no file system: a private window of some browsers. It is gone with the worker. */
const memory = new Map<string, Map<string, Uint8Array>>();
let inMemory: boolean | undefined;

async function withoutDisk(): Promise<boolean> {
  inMemory ??= await models().then(() => !("createSyncAccessHandle" in FileSystemFileHandle.prototype), () => true);
  return inMemory;
}

/** Whether what is kept outlives the page. */
export const keeps = async () => !(await withoutDisk());

const full = (error: unknown): never => {
  if (error instanceof DOMException && error.name === "QuotaExceededError") {
    throw new RarebitError("storage", "The browser has no more room for files of models.", "Delete models that are kept, or free some of the disk.");
  }
  throw error;
};

/** Opens a model's file for reading and writing; it is made if it is not there. */
export async function open(id: string, path: string): Promise<Handle> {
  if (await withoutDisk()) return held(id, path);
  const file = await (await own(id)).getFileHandle(encodeURIComponent(path), { create: true });
  let handle: FileSystemSyncAccessHandle;
  try {
    handle = await file.createSyncAccessHandle();
  } catch (error) {
    if (error instanceof DOMException && error.name === "NoModificationAllowedError") {
      throw new RarebitError("storage", `${path} is in use by another tab.`, "Close the other tab, or wait until it has finished.");
    }
    throw error;
  }
  return {
    size: () => handle.getSize(),
    read: (into, at) => {
      if (handle.read(into as Uint8Array<ArrayBuffer>, { at }) !== into.length) throw new Error(`${path} ends early`);
    },
    write: (bytes, at) => {
      try {
        handle.write(bytes as Uint8Array<ArrayBuffer>, { at });
      } catch (error) {
        full(error);
      }
    },
    truncate: (size) => handle.truncate(size),
    close: () => {
      handle.flush();
      handle.close();
    },
  };
}

function held(id: string, path: string): Handle {
  const files = memory.get(id) ?? memory.set(id, new Map()).get(id)!;
  let bytes = files.get(path) ?? new Uint8Array(0);
  return {
    size: () => bytes.length,
    read: (into, at) => into.set(bytes.subarray(at, at + into.length)),
    write: (more, at) => {
      if (at + more.length > bytes.length) {
        const longer = new Uint8Array(at + more.length);
        longer.set(bytes);
        bytes = longer;
      }
      bytes.set(more, at);
      files.set(path, bytes);
    },
    truncate: (size) => void files.set(path, (bytes = bytes.slice(0, size))),
    close: () => {},
  };
}

/** How many bytes of a file there are. */
export async function present(id: string, path: string): Promise<number> {
  if (await withoutDisk()) return memory.get(id)?.get(path)?.length ?? 0;
  try {
    const file = await (await own(id)).getFileHandle(encodeURIComponent(path));
    return (await file.getFile()).size;
  } catch {
    return 0;
  }
}

export async function saveManifest(manifest: Manifest): Promise<void> {
  await write(await open(manifest.id, MANIFEST), JSON.stringify(manifest));
}

async function write(handle: Handle, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  handle.truncate(0);
  handle.write(bytes, 0);
  handle.close();
}

/** What is written down of a model; none if it is not kept. */
export async function manifest(id: string): Promise<Manifest | undefined> {
  const length = await present(id, MANIFEST);
  if (length === 0) return undefined;
  const handle = await open(id, MANIFEST);
  const bytes = new Uint8Array(handle.size());
  handle.read(bytes, 0);
  handle.close();
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
  } catch {
    return undefined;
  }
}

/** All models that are kept. */
export async function manifests(): Promise<Manifest[]> {
  const ids = (await withoutDisk()) ? [...memory.keys()] : await names();
  const found = await Promise.all(ids.map(manifest));
  return found.filter((one) => one !== undefined);
}

async function names(): Promise<string[]> {
  const found: string[] = [];
  for await (const name of (await models()).keys()) found.push(decodeURIComponent(name));
  return found;
}

export async function remove(id: string): Promise<void> {
  if (memory.delete(id) || (await withoutDisk())) return;
  await (await models()).removeEntry(encodeURIComponent(id), { recursive: true }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "NotFoundError") return;
    throw new RarebitError("storage", "The model is in use and cannot be deleted.", "Wait until it has been read, or close other tabs.");
  });
}

/** How many bytes of a model there are, and how many there will be. */
export async function amount({ id, files }: { id: string; files: Expected[] }): Promise<{ bytes: number; total: number }> {
  const sizes = await Promise.all(files.map((file) => present(id, file.path)));
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  return { bytes: sum(sizes), total: Math.max(sum(sizes), sum(files.map((file) => file.size))) };
}

/** What the package remembers of this browser. */
export async function settings(): Promise<Record<string, unknown>> {
  try {
    const file = await (await root()).getFileHandle(SETTINGS);
    return JSON.parse(await (await file.getFile()).text()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

export async function saveSettings(values: Record<string, unknown>): Promise<void> {
  if (await withoutDisk()) return;
  const file = await (await root()).getFileHandle(SETTINGS, { create: true });
  const handle = await file.createSyncAccessHandle();
  const bytes = new TextEncoder().encode(JSON.stringify(values));
  handle.truncate(0);
  handle.write(bytes, { at: 0 });
  handle.close();
}
