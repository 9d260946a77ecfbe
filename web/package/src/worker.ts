// The worker: takes calls one after the other and hands them to an engine.

import { lockName, type Answer, type Calls, type Context, type Name, type Request } from "./protocol.ts";
import { readFile } from "./read/file.ts";
import * as score from "./score.ts";
import { RarebitError } from "./types.ts";

type Handlers = {
  [N in Name]: (context: Context, ...args: Parameters<Calls[N]>) => ReturnType<Calls[N]> | Promise<ReturnType<Calls[N]>>;
};

const handlers: Handlers = {
  embedders: score.embedders,
  embed: score.embed,
  score: score.score,
  shared: score.shared,
  read: readFile,
};

const cancelled = new Set<number>();
let queue: Promise<void> = Promise.resolve();

const post = (answer: Answer) => self.postMessage(answer);

function context(id: number): Context {
  return {
    async check() {
      // Lets a message in that waits to say stop.
      await new Promise((resolve) => setTimeout(resolve));
      if (cancelled.has(id)) {
        throw new DOMException("The call was cancelled.", "AbortError");
      }
    },
    progress: (progress) => post({ id, progress }),
  };
}

function described(error: unknown): { code: RarebitError["code"] | "abort"; message: string } {
  if (error instanceof RarebitError) {
    return { code: error.code, message: error.message };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: error instanceof DOMException && error.name === "AbortError" ? "abort" : "internal", message };
}

async function answer({ id, call, args }: Extract<Request, { call: Name }>): Promise<void> {
  try {
    const own = context(id);
    await own.check();
    const handler = handlers[call] as (context: Context, ...args: unknown[]) => unknown;
    post({ id, value: await handler(own, ...args) });
  } catch (error) {
    post({ id, error: described(error) });
    if (error instanceof WebAssembly.RuntimeError) {
      // A module that trapped cannot be used again.
      self.close();
    }
  } finally {
    cancelled.delete(id);
  }
}

self.onmessage = (event: MessageEvent<Request>) => {
  const request = event.data;
  if ("cancel" in request) {
    cancelled.add(request.id);
  } else {
    queue = queue.then(() => answer(request));
  }
};

if (navigator.locks) {
  navigator.locks.request(lockName(self.name), () => {
    self.postMessage("ready");
    return new Promise(() => {});
  });
}
