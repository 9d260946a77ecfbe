// A model's files as the module reads them: by name, piece by piece, at once.

import { RarebitError } from "../types.ts";
import * as store from "./store.ts";

/** What the module is given. */
export interface Files {
  names(): string[];
  size(name: string): number;
  read(name: string, start: number, into: Uint8Array): void;
}

/** Files that are open until `close`. */
export interface OpenFiles extends Files {
  close(): void;
  /** A small file as text. */
  text(name: string): string;
}

interface Readable {
  size: number;
  read(into: Uint8Array, start: number): void;
}

function opened(entries: Map<string, Readable>, close: () => void): OpenFiles {
  const entry = (name: string) => {
    const found = entries.get(name);
    if (!found) throw new Error(`there is no ${name}`);
    return found;
  };
  return {
    close,
    names: () => [...entries.keys()],
    size: (name) => entry(name).size,
    read: (name, start, into) => entry(name).read(into, start),
    text: (name) => {
      const bytes = new Uint8Array(entry(name).size);
      entry(name).read(bytes, 0);
      return new TextDecoder().decode(bytes);
    },
  };
}

/** Files that are kept in the store. */
export async function fromStore(id: string, paths: string[]): Promise<OpenFiles> {
  const handles: store.Handle[] = [];
  const entries = new Map<string, Readable>();
  for (const path of paths) {
    const handle = await store.open(id, path);
    handles.push(handle);
    entries.set(path, { size: handle.size(), read: (into, start) => handle.read(into, start) });
  }
  return opened(entries, () => handles.forEach((handle) => handle.close()));
}

/** Files that the browser has: of this machine, or fetched. They are read where they are. */
export function fromBlobs(blobs: Map<string, Blob>): OpenFiles {
  const reader = new FileReaderSync();
  const entries = new Map<string, Readable>();
  for (const [path, blob] of blobs) {
    const read = (into: Uint8Array, start: number) => into.set(new Uint8Array(reader.readAsArrayBuffer(blob.slice(start, start + into.length))));
    entries.set(path, { size: blob.size, read });
  }
  return opened(entries, () => {});
}

/** The files in a folder that was picked. */
export async function inFolder(folder: FileSystemDirectoryHandle, depth = 2, prefix = ""): Promise<Map<string, Blob>> {
  const found = new Map<string, Blob>();
  for await (const entry of folder.values()) {
    const path = prefix + entry.name;
    if (entry.kind === "file") found.set(path, await (entry as FileSystemFileHandle).getFile());
    else if (depth > 1) for (const [name, file] of await inFolder(entry as FileSystemDirectoryHandle, depth - 1, `${path}/`)) found.set(name, file);
  }
  return found;
}

/** Takes off the folder that all files lie in, if there is one, so that `config.json` is at the top. */
export function atTop(files: Map<string, Blob>): Map<string, Blob> {
  const depths = [...files.keys()].filter((path) => /(^|\/)(adapter_)?config\.json$/.test(path)).sort((a, b) => a.split("/").length - b.split("/").length);
  const top = depths[0];
  if (top === undefined) {
    throw new RarebitError("file", "There is no config.json among the files.", "Choose the folder of a model: config.json, tokenizer.json and model.safetensors lie in it.");
  }
  const prefix = top.slice(0, top.lastIndexOf("/") + 1);
  return new Map([...files].filter(([path]) => path.startsWith(prefix)).map(([path, file]) => [path.slice(prefix.length), file]));
}
