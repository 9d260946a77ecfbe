// What a visitor names or picks, as the source of a model.

import type { ModelSource } from "../../package/src/index.ts";

/** What someone typed, as a source; undefined if it is neither a name nor an address. */
export function sourceOf(words: string): ModelSource | undefined {
  const text = words.trim();
  if (/^https?:\/\/\S+$/i.test(text)) return { url: text };
  if (/^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/.test(text)) return { hub: text };
  return undefined;
}

/** The source that a key names, if it is one that can be fetched; see `keyOf`. */
export function sourceOfKey(key: string): ModelSource | undefined {
  const [, kind, name = ""] = key.match(/^(hub|url):(.+)$/) ?? [];
  const source = sourceOf(name);
  return source && kind !== undefined && kind in source ? source : undefined;
}

/** A folder's files as a source; it is called as the folder is. */
export function folderOf(files: FileList | null): ModelSource | undefined {
  const list = [...(files ?? [])];
  const [first] = list;
  return first && { files: list, name: first.webkitRelativePath.split("/")[0] || "folder" };
}
