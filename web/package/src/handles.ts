// Models on the caller's side: what stands for them outlives the worker that holds them.

import type { Client } from "./client.ts";
import type { Sent } from "./protocol.ts";
import type { CallOptions, GenerateOptions, LoadOptions, Message, Model, ModelSource, Piece } from "./types.ts";
import { RarebitError } from "./types.ts";

/** How to read a model again, and which worker has it. */
interface Origin {
  read(options: CallOptions): Promise<unknown>;
  worker: number;
  unloaded: boolean;
}

export class Models {
  #client: Client;
  #origins = new Map<Model, Origin>();
  #last = 0;

  constructor(client: Client) {
    this.#client = client;
  }

  async load(source: ModelSource, { signal, onProgress, ...options }: LoadOptions = {}): Promise<Model> {
    const id = `model ${++this.#last}`;
    const sent = await prepared(source);
    return this.#keep((how) => this.#client.call("loadModel", [id, sent, options], how), { ...(signal && { signal }), ...(onProgress && { onProgress }) });
  }

  async adapt(base: Model, source: ModelSource, options: CallOptions = {}): Promise<Model> {
    const id = `model ${++this.#last}`;
    const sent = await prepared(source);
    const read = async (how: CallOptions) => {
      await this.#ensure(base, how);
      return this.#client.call("withAdapter", [id, base.id, sent], how);
    };
    return this.#keep(read, options);
  }

  async #keep(read: (options: CallOptions) => Promise<Model>, options: CallOptions): Promise<Model> {
    const model = Object.freeze(await read(options));
    this.#origins.set(model, { read, worker: this.#client.worker, unloaded: false });
    return model;
  }

  all(): Model[] {
    return [...this.#origins].filter(([, origin]) => !origin.unloaded).map(([model]) => model);
  }

  async unload(model: Model): Promise<void> {
    const origin = this.#origins.get(model);
    if (!origin || origin.unloaded) return;
    // Adapters on it can still be asked for: then it is read again, unseen.
    origin.unloaded = true;
    if (origin.worker === this.#client.worker) await this.#client.call("unload", [model.id]);
    origin.worker = 0;
  }

  /** The model's id in the worker, where it is read again if the worker is another. */
  async id(model: Model, options: CallOptions = {}): Promise<string> {
    if (this.#origins.get(model)?.unloaded !== false) {
      throw new RarebitError("input", "The model was let go.", "Load it again.");
    }
    await this.#ensure(model, options);
    return model.id;
  }

  async #ensure(model: Model, options: CallOptions): Promise<void> {
    const origin = this.#origins.get(model);
    if (!origin || origin.worker === this.#client.worker) return;
    await origin.read(options);
    origin.worker = this.#client.worker;
  }

  async *generate(model: Model, prompt: string | Message[], { signal, ...options }: GenerateOptions = {}): AsyncGenerator<Piece, void, undefined> {
    const stop = new AbortController();
    const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
    const id = await this.id(model, { signal: either });
    const pieces: Piece[] = [];
    let wake = () => {};
    let ended = false;
    const onPiece = (piece: Piece) => {
      pieces.push(piece);
      wake();
    };
    const done = this.#client.call("generate", [id, prompt, options], { signal: either, onPiece }).finally(() => {
      ended = true;
      wake();
    });
    // It is awaited at the end; until then a failure is no stranger.
    done.catch(() => {});
    try {
      for (;;) {
        const piece = pieces.shift();
        if (piece) yield piece;
        else if (ended) break;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
      await done;
    } finally {
      // Who leaves the loop early stops the writing.
      stop.abort(new DOMException("The writing was stopped.", "AbortError"));
    }
  }
}

/** A source as it can be sent: files know their folder only here. */
export async function prepared(source: ModelSource): Promise<Sent> {
  if (!("files" in source)) return source;
  if ("getDirectoryHandle" in source.files) return { files: source.files, name: source.name ?? source.files.name };
  const files = [...source.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  return { files, name: source.name ?? files[0]?.path.split("/").slice(0, -1)[0] ?? "folder" };
}
