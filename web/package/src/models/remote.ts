// Files of a model on another host: which there are, how long they are and what they hash to.

import { RarebitError } from "../types.ts";
import { GUESSES, shards, wanted } from "./wanted.ts";

/** What a file must be. */
export interface Expected {
  path: string;
  url: string;
  size: number;
  /** Its hash, if the host says one: of its bytes, or, as git does, of its length and its bytes. */
  hash: { kind: "sha256" | "git-sha1"; hex: string } | null;
}

/** A model on another host. */
export interface Remote {
  /** Names it in the cache; another revision is another model. */
  id: string;
  name: string;
  files: Expected[];
}

const HUB = "https://huggingface.co";

/** Fetches, and turns what goes wrong into an error for people. */
export async function get(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "omit", referrerPolicy: "no-referrer", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw init.signal.reason;
    throw new RarebitError("network", `${url} cannot be reached: ${message(error)}.`, "Look at the connection and try again: what has arrived is kept.");
  }
  if ([401, 403, 404, 410].includes(response.status)) {
    throw new RarebitError("not-found", `There is nothing at ${url} that is public (${response.status}).`, "Check the name; a model behind a login can be downloaded by hand and opened as a folder.");
  }
  if (!response.ok && response.status !== 416) {
    throw new RarebitError("network", `${url} answers ${response.status} ${response.statusText}.`, "Try again later: what has arrived is kept.");
  }
  return response;
}

export const message = (error: unknown) => (error instanceof Error ? error.message : String(error));

interface Sibling {
  rfilename: string;
  size?: number;
  blobId?: string;
  lfs?: { sha256: string; size: number };
}

/** A model of the Hugging Face hub, `org/name` or `org/name@revision`. */
export async function hub(model: string, endpoint = HUB, signal?: AbortSignal): Promise<Remote> {
  const [, name, revision = "main"] = /^([\w.-]+(?:\/[\w.-]+)?)(?:@([\w./-]+))?$/.exec(model.trim()) ?? [];
  if (!name) {
    throw new RarebitError("input", `"${model}" is no model of the hub.`, "Names look like org/name or org/name@revision.");
  }
  const base = endpoint.replace(/\/+$/, "");
  const response = await get(`${base}/api/models/${name}/revision/${encodeURIComponent(revision)}?blobs=true`, signal ? { signal } : {});
  const { sha, siblings } = (await response.json()) as { sha: string; siblings: Sibling[] };
  const paths = wanted(siblings.map((file) => file.rfilename));
  const files = siblings.filter((file) => paths.includes(file.rfilename)).map((file): Expected => {
    const { rfilename: path, lfs, blobId } = file;
    return {
      path,
      url: `${base}/${name}/resolve/${sha}/${path.split("/").map(encodeURIComponent).join("/")}`,
      size: lfs?.size ?? file.size ?? 0,
      hash: lfs ? { kind: "sha256", hex: lfs.sha256 } : blobId ? { kind: "git-sha1", hex: blobId } : null,
    };
  });
  const id = `${base === HUB ? "" : `${base}/`}${name}@${sha}`;
  return { id, name: revision === "main" ? name : `${name}@${revision}`, files };
}

/** A model at an address. A `SHA256SUMS` beside its files says which they are and what they hash to. */
export async function at(address: string, signal?: AbortSignal): Promise<Remote> {
  const base = folder(address);
  const name = base.pathname.split("/").filter(Boolean).at(-1) ?? base.host;
  const sums = await optional(new URL("SHA256SUMS", base), signal);
  const hashes = new Map<string, string>();
  for (const line of sums?.split("\n") ?? []) {
    const [, hex, path] = /^([0-9a-f]{64}) [ *](?:\.\/)?(.+)$/.exec(line.trim()) ?? [];
    if (hex && path) hashes.set(path, hex);
  }
  const paths = hashes.size > 0 ? wanted([...hashes.keys()]) : await guess(base, signal);
  const files: Expected[] = [];
  for (const path of paths) {
    const url = new URL(path, base).href;
    const head = await get(url, { method: "HEAD", ...(signal && { signal }) });
    const hex = hashes.get(path);
    files.push({ path, url, size: Number(head.headers.get("content-length") ?? 0), hash: hex ? { kind: "sha256", hex } : null });
  }
  return { id: base.href, name, files };
}

/** A hub page's own address as the model's name; none of other addresses. */
export function onHub(address: string): string | undefined {
  const [, name, revision] = /^https:\/\/(?:www\.)?(?:huggingface\.co|hf\.co)\/([\w.-]+\/[\w.-]+)(?:\/tree\/([^/?#]+))?\/?(?:[?#].*)?$/.exec(address.trim()) ?? [];
  return name && (revision ? `${name}@${revision}` : name);
}

function folder(address: string): URL {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    throw new RarebitError("input", `"${address}" is no address.`, "An address begins with https://.");
  }
  url.search = url.hash = "";
  url.pathname = url.pathname.replace(/(config\.json)?$/, "").replace(/\/?$/, "/");
  return url;
}

async function optional(url: URL, signal?: AbortSignal): Promise<string | undefined> {
  try {
    return await (await get(url.href, signal ? { signal } : {})).text();
  } catch (error) {
    if (error instanceof RarebitError && error.code === "not-found") return undefined;
    throw error;
  }
}

/** Asks for every file that a model may have. */
async function guess(base: URL, signal?: AbortSignal): Promise<string[]> {
  const there = async (path: string) => {
    try {
      await get(new URL(path, base).href, { method: "HEAD", ...(signal && { signal }) });
      return [path];
    } catch (error) {
      if (error instanceof RarebitError && error.code === "not-found") return [];
      throw error;
    }
  };
  const found = wanted((await Promise.all(GUESSES.map(there))).flat());
  const index = found.find((path) => path.endsWith(".index.json"));
  if (index) found.push(...shards((await optional(new URL(index, base), signal)) ?? "{}"));
  if (!found.includes("config.json") && !found.includes("adapter_config.json")) {
    throw new RarebitError("not-found", `There is no config.json at ${base.href}.`, "Give the address of a model's folder: config.json must be there.");
  }
  return found;
}
