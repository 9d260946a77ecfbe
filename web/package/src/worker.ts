// The worker: takes calls and hands them to an engine. Scoring takes one call after the other; models,
// whose calls wait for the network or the graphics processor, take them as they come.

import { lockName, type Answer, type Calls, type Context, type Name, type Request } from "./protocol.ts";
import { readFile } from "./read/file.ts";
import * as score from "./score.ts";
import { RarebitError, type ErrorCode } from "./types.ts";

type Engine = typeof import("./models/engine.ts");
type Handler<N extends Name> = (context: Context, ...args: Parameters<Calls[N]>) => ReturnType<Calls[N]> | Promise<ReturnType<Calls[N]>>;

/** The engine of models is a file of its own: who only scores never fetches it. */
let engine: Promise<Engine> | undefined;

function models(): Promise<Engine> {
  engine ??= (import(new URL("./models.js", import.meta.url).href) as Promise<Engine>).catch((error: unknown) => {
    engine = undefined;
    throw new RarebitError("load", `The part for models could not be loaded: ${text(error)}`, "Reload the page while there is a connection.");
  });
  return engine;
}

const vectors: score.Models = {
  embed: async (context, id, texts) => (await models()).embedWith(context, id, texts),
  info: async (id) => (await models()).vectorsOf(id),
};

/** Calls that are answered one after the other. */
const inTurn: { [N in "embedders" | "embed" | "score" | "shared" | "read"]: Handler<N> } = {
  embedders: score.embedders,
  embed: (context, texts, origin) => score.embed(context, vectors, texts, origin),
  score: (context, ...args) => score.score(context, vectors, ...args),
  shared: score.shared,
  read: readFile,
};

/** Calls that are answered as they come. */
const atOnce: { [N in Exclude<Name, keyof typeof inTurn>]: Handler<N> } = {
  loadModel: async (...args) => (await models()).loadModel(...args),
  withAdapter: async (...args) => (await models()).withAdapter(...args),
  unload: async (...args) => (await models()).unload(...args),
  generate: async (...args) => (await models()).generate(...args),
  backends: async () => (await models()).backends(),
  useBackend: async (_, backend) => (await models()).useBackend(backend),
  benchmark: async (context) => (await models()).benchmark(context),
  cached: async () => (await models()).cached(),
  deleteCached: async (...args) => (await models()).deleteCached(...args),
  modelSize: async (...args) => (await models()).modelSize(...args),
  loseGpu: async () => (await models()).loseGpu(),
};

const running = new Map<number, AbortController>();
let queue: Promise<void> = Promise.resolve();

const post = (answer: Answer) => self.postMessage(answer);
const text = (error: unknown) => (error instanceof Error ? error.message : String(error));

function context(id: number, signal: AbortSignal): Context {
  return {
    signal,
    async check() {
      // Lets a message in that waits to say stop.
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
    },
    progress: (progress) => post({ id, progress }),
    emit: (piece) => post({ id, piece }),
  };
}

/** What a person can do, for errors that do not say it themselves. */
const REMEDIES: Partial<Record<ErrorCode, string>> = {
  "unsupported": "The README lists the architectures that are read.",
  "too-large": "Choose the CPU, or a smaller model.",
  "out-of-memory": "Unload other models or take a smaller one, then try again.",
  "device-lost": "Try again: it is opened anew. If it is lost again, choose the CPU.",
  "no-backend": "Choose the CPU.",
};
/** After these nothing in the worker can be relied on. */
const FATAL: ErrorCode[] = ["device-lost", "out-of-memory"];

async function described(error: unknown, call: Name): Promise<Pick<Extract<Answer, { error: unknown }>, "error" | "fatal">> {
  if (error instanceof DOMException && error.name === "AbortError") {
    return { error: { code: "abort", message: error.message, remedy: "" }, fatal: false };
  }
  const told = (error as { code?: ErrorCode; remedy?: string } | undefined) ?? {};
  let code: ErrorCode = typeof told.code === "string" ? told.code : "internal";
  // A module that trapped cannot be used again.
  const trapped = error instanceof WebAssembly.RuntimeError;
  const ofModels = call in atOnce || engine !== undefined;
  if ((trapped && ofModels && (await (await models()).isFull())) || (error instanceof RangeError && ofModels)) {
    code = "out-of-memory";
  }
  const message = code === "out-of-memory" && code !== told.code ? "The memory that the browser gives a page is used up." : text(error);
  return { error: { code, message, remedy: told.remedy || (REMEDIES[code] ?? "") }, fatal: trapped || FATAL.includes(code) };
}

async function answer({ id, call, args }: Extract<Request, { call: Name }>, signal: AbortSignal): Promise<void> {
  try {
    const own = context(id, signal);
    await own.check();
    const handler = { ...inTurn, ...atOnce }[call] as (context: Context, ...args: unknown[]) => unknown;
    post({ id, value: await handler(own, ...args) });
  } catch (error) {
    const told = await described(error, call);
    post({ id, ...told });
    if (told.fatal) self.close();
  } finally {
    running.delete(id);
  }
}

self.onmessage = (event: MessageEvent<Request>) => {
  const request = event.data;
  if ("cancel" in request) {
    running.get(request.id)?.abort(new DOMException("The call was cancelled.", "AbortError"));
    return;
  }
  const stop = new AbortController();
  running.set(request.id, stop);
  if (request.call in inTurn) queue = queue.then(() => answer(request, stop.signal));
  else void answer(request, stop.signal);
};

if (navigator.locks) {
  navigator.locks.request(lockName(self.name), () => {
    self.postMessage("ready");
    return new Promise(() => {});
  });
}
