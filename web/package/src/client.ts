// The caller's side of the worker: one worker, started at the first call and again after its end.

import { lockName, type Answer, type Arguments, type Name, type Request, type Value } from "./protocol.ts";
import { RarebitError, type CallOptions, type Piece } from "./types.ts";

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  onProgress: CallOptions["onProgress"];
  onPiece: ((piece: Piece) => void) | undefined;
}

const ENDED = "The worker that computes has ended, most likely for lack of memory. Try again with less at once.";

export class Client {
  #worker: Worker | undefined;
  #pending = new Map<number, Pending>();
  #last = 0;
  #started = 0;

  /** Numbers the worker that runs, or that will: what was in an earlier one's memory is gone. */
  get worker(): number {
    return this.#worker ? this.#started : this.#started + 1;
  }

  call<N extends Name>(
    name: N,
    args: Arguments<N>,
    options: CallOptions & { onPiece?: (piece: Piece) => void } = {},
  ): Promise<Value<N>> {
    const { signal, onProgress, onPiece } = options;
    if (signal?.aborted) {
      return Promise.reject(signal.reason);
    }
    const worker = (this.#worker ??= this.#start());
    const id = ++this.#last;
    const answer = new Promise<unknown>((resolve, reject) => this.#pending.set(id, { resolve, reject, onProgress, onPiece }));
    const cancel = () => {
      // The caller is answered at once, the worker stops when it next looks up.
      worker.postMessage({ id, cancel: true } satisfies Request);
      this.#settle(id)?.reject(signal?.reason);
    };
    signal?.addEventListener("abort", cancel, { once: true });
    worker.postMessage({ id, call: name, args } satisfies Request);
    return answer.finally(() => signal?.removeEventListener("abort", cancel)) as Promise<Value<N>>;
  }

  /** Ends the worker and whatever it does. */
  stop(reason: unknown = new RarebitError("worker", ENDED)): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const id of [...this.#pending.keys()]) {
      this.#settle(id)?.reject(reason);
    }
  }

  #start(): Worker {
    this.#started += 1;
    const name = crypto.randomUUID();
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name });
    worker.onmessage = (event: MessageEvent<Answer | "ready">) => {
      if (event.data === "ready") {
        this.#watch(worker, name);
      } else {
        this.#answer(event.data);
        if ("error" in event.data && event.data.fatal && this.#worker === worker) this.stop();
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (this.#worker === worker) {
        this.stop(new RarebitError("load", `The worker does not start: ${event.message ?? "it could not be fetched"}`));
      }
    };
    return worker;
  }

  /** A worker that dies says nothing, but its lock becomes free. */
  #watch(worker: Worker, name: string): void {
    globalThis.navigator?.locks?.request(lockName(name), () => {
      if (this.#worker === worker) {
        this.stop();
      }
    });
  }

  #answer(answer: Answer): void {
    if ("progress" in answer) {
      this.#pending.get(answer.id)?.onProgress?.(answer.progress);
    } else if ("piece" in answer) {
      this.#pending.get(answer.id)?.onPiece?.(answer.piece);
    } else if ("error" in answer) {
      const { code, message, remedy } = answer.error;
      const error = code === "abort" ? new DOMException(message, "AbortError") : new RarebitError(code, message, remedy);
      this.#settle(answer.id)?.reject(error);
    } else {
      this.#settle(answer.id)?.resolve(answer.value);
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    return pending;
  }
}
