/** What a distance between two texts is about: what is told, or how. */
export type Kind = "semantic" | "style";

/** An embedder that is part of the package. */
export interface EmbedderInfo {
  /** The name that options take, such as `builtin:lexical`. */
  name: string;
  /** Identity of its vectors; it changes when they do. */
  id: string;
  /** Components of a vector. */
  dims: number;
  /** The kind it is made for. */
  kind: Kind;
}

/** How deviations become weights; the names and meanings are those of the command line. */
export interface Weighting {
  /** The kinds that are mixed. Default: both. */
  kinds?: Kind | "both" | "none";
  /** The least mixed score of a text, in [0, 1], so that none has weight 0. */
  floor?: number;
  /** Ranks in place of min-max. */
  rank?: boolean;
  /** How many texts it takes before their deviations are believed as much as the weight 1. */
  shrinkage?: number;
  /** The power that weights are raised to before they average 1 again: above 1 sharper, below 1 flatter, 0 makes all 1. */
  tau?: number;
  /** The semantic kind's part where both are mixed, in [0, 1]: semantic^share style^(1 - share). Default: 1/2. */
  semantic_share?: number;
}

/** Where vectors come from: a built-in embedder's name, a model in memory, or they are there already. */
export type Vectors = string | Model | Float32Array[];

export interface ScoreOptions extends Weighting {
  /** What gives the semantic vectors: an embedder's name, a model, or the vectors. Default: `builtin:lexical`. */
  semantic?: Vectors;
  /** The same of the style kind. Default: `builtin:style`. */
  style?: Vectors;
}

/** How far one text is from the others of its set. */
export interface Deviation {
  /** Mean semantic distance to the other texts, in [0, 2]; null for a text that is alone. */
  semantic: number | null;
  /** Mean style distance to the other texts, in [0, 2]; null for a text that is alone. */
  style: number | null;
  /** `semantic` within the set: 0 for the most usual text, 1 for the rarest. */
  normalizedSemantic: number;
  /** `style` within the set. */
  normalizedStyle: number;
  /** What the text would weigh in training; the weights of a set average 1. */
  weight: number;
}

/** A measure of a whole set. */
export interface Measure {
  name: string;
  /** The name for people. */
  label: string;
  /** Which direction means more diverse. */
  better: "higher" | "lower" | "neither";
  /** Where the definition comes from. */
  source: string;
  value: number;
}

/** A flat map: the two directions in which the texts differ most. */
export interface Plane {
  points: [x: number, y: number][];
  /** The share of the spread that each axis shows. */
  shares: [x: number, y: number];
}

/** All that is measured of a set of texts. */
export interface Score {
  /** One for each text, in their order. */
  deviations: Deviation[];
  /** Pairwise distances, row after row, `[n, n]`. */
  distances: Record<Kind, Float32Array>;
  plane: Record<Kind, Plane>;
  /** The measures that the set has: a text alone has no diversity. */
  measures: Measure[];
  /** The identity of the embedder of each kind. */
  embedders: Record<Kind, string>;
}

/** A stretch of a text that another text has, too; places count UTF-16 units. */
export interface Shared {
  start: number;
  end: number;
  /** Three words or more in a row. */
  phrase: boolean;
}

/** A prompt and its responses. */
export interface Group {
  /** The id that the source gives, if it does. */
  id?: string;
  prompt: string;
  responses: Response[];
}

export interface Response {
  text: string;
  score?: number;
}

/** Where a plain text is cut into responses. */
export type Split = "auto" | "blank" | "rule" | "line" | "none";

/** What a long call is doing. */
export interface Progress {
  /** `embedding`, `measuring`; of a model `listing`, `downloading`, `checking`, `loading`. */
  stage: string;
  /** Of `downloading` and `checking` in bytes. */
  done: number;
  total: number;
  /** The file it is about, if it is about one. */
  file?: string;
}

/** Options of every call that may take long. */
export interface CallOptions {
  /** Ends the call with an `AbortError`. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** What computes: the graphics processor, or the main processor with its vector instructions. */
export type Backend = "webgpu" | "cpu";

/** Where a model's files, or an adapter's, are. */
export type ModelSource =
  /** A demo's model that is part of the package. */
  | { demo: DemoModel }
  /** A folder of this machine: what a file input or a drop gives, or a folder that was picked. */
  | { files: Iterable<File> | FileSystemDirectoryHandle; name?: string }
  /** A model of the Hugging Face hub: `org/name`, or `org/name@revision`; `endpoint` is a mirror's address. */
  | { hub: string; endpoint?: string }
  /** An address under which `config.json` and the other files are; or a hub page's own address. */
  | { url: string };

/** The models of `rarebit demo`: fine-tuned only, or then trained on preferences. */
export type DemoModel = "dpo" | "ddpo";

export interface LoadOptions extends CallOptions {
  /** Default: `auto`, which is what `useBackend` was told, or what `benchmark` found to be faster, else the CPU. */
  backend?: Backend | "auto";
  /** What the files are read as. Default: what they say they are. */
  kind?: ModelKind;
}

/** A model that writes, or one that gives a text a vector. */
export type ModelKind = "causal" | "embedder";

/** A model in memory. It stays valid when the worker ends: it is then read again when it is used. */
export interface Model {
  /** Names it among the models in memory. */
  readonly id: string;
  /** What people call it, such as `org/name`. */
  readonly name: string;
  readonly kind: ModelKind;
  readonly backend: Backend;
  /** What computes, in words: an adapter's name, or `CPU`. */
  readonly device: string;
  /** Bytes that its weights take in memory; an adapter's are its own alone. */
  readonly bytes: number;
  readonly parameters: number;
  /** The adapter on it, by the name of its source; null without one. */
  readonly adapter: string | null;
  /** The architecture, as `config.json` names it: `llama`, `qwen2`, `bert`. */
  readonly architecture: string;
  /** Tokens that it reads at most, prompt and completion together. */
  readonly contextLength: number;
  /** Components of a vector; 0 of a model that writes. */
  readonly dims: number;
  /** Whether its prompts are conversations: it has a chat template. */
  readonly chat: boolean;
}

/** A turn of a conversation. */
export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/** How to write; the names and meanings are those of transformers' `generate`. */
export interface GenerateOptions {
  /** Default: 256. */
  maxNewTokens?: number;
  /** 0 takes the likeliest token each time. Default: 1. */
  temperature?: number;
  /** Default: 1, which keeps all. */
  topP?: number;
  /** Default: 0, which keeps all. */
  topK?: number;
  /** Default: 0, which keeps all. */
  minP?: number;
  /** Default: 1, which does nothing. */
  repetitionPenalty?: number;
  /** The same seed gives the same texts. Default: 0. */
  seed?: number;
  /** Texts that are written side by side. Default: 1. */
  numReturnSequences?: number;
  /** Ends the writing: the loop over it ends with an `AbortError`. */
  signal?: AbortSignal;
}

/** What was added to one of the texts that are being written. */
export interface Piece {
  /** Which text, from 0. */
  sample: number;
  /** What was added; empty while a character of several tokens is incomplete, and at the end. */
  text: string;
  /** The token; null at the end. */
  token: number | null;
  /** Whether this text has ended. */
  done: boolean;
  /** `stop`: it came to its end; `length`: to `maxNewTokens` or the model's longest text. */
  finishReason: "stop" | "length" | null;
  /** Tokens of all texts by now over the seconds since the prompt was read. */
  tokensPerSecond: number;
}

/** What can compute here. */
export interface Backends {
  webgpu: {
    available: boolean;
    /** The adapter's name; empty where there is none. */
    adapter: string;
    /** Whether it is an emulation on the main processor. */
    software: boolean;
    /** Why there is none, with what can be done; empty where there is one. */
    reason: string;
    /** Bytes of the largest tensor it takes. */
    largestBuffer: number;
  };
  cpu: {
    available: boolean;
    /** Always 1: the page must not depend on headers that plain hosts do not send. */
    threads: number;
  };
  /** What `useBackend` was told last; `auto` before. */
  asked: Backend | "auto";
  /** What is taken, and why. */
  chosen: Backend;
  reason: string;
  /** What `benchmark` found, if it ran here before. */
  benchmark: Benchmark | null;
}

/** The same work on each backend: a demo model reads a prompt and writes 4 texts. */
export interface Benchmark {
  /** Tokens per second; null where there is no such backend, or it failed. */
  tokensPerSecond: Record<Backend, number | null>;
  fastest: Backend;
  /** The adapter that it ran on. */
  adapter: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** Files of a model that are kept in the browser. */
export interface Cached {
  /** What `deleteCached` takes. */
  id: string;
  /** What people call it. */
  name: string;
  /** What `loadModel` takes to load it from here. */
  source: ModelSource;
  /** Bytes that it takes by now. */
  bytes: number;
  /** Bytes that it will take; equal to `bytes` when it is complete. */
  total: number;
  complete: boolean;
}

/** What went wrong, for programs. */
export type ErrorCode =
  /** A value that was passed in cannot be used. */
  | "input"
  /** A file could not be read as what it claims to be, or is missing. */
  | "file"
  /** The worker ended: out of memory, most often. The next call starts another. */
  | "worker"
  /** A part of rarebit could not be fetched. */
  | "load"
  /** A file of a model could not be fetched; what has arrived is kept. */
  | "network"
  /** There is no such model or file, or it is not public. */
  | "not-found"
  /** A file is not the one that was meant: its hash is another. It was deleted. */
  | "hash"
  /** The model asks for something that is not known here. */
  | "unsupported"
  /** A tensor is larger than the graphics processor takes, or the model than the browser's memory. */
  | "too-large"
  | "out-of-memory"
  /** The graphics processor went away. The next call opens it anew. */
  | "device-lost"
  /** The backend that was asked for is not there. */
  | "no-backend"
  /** The browser has no room to keep the files. */
  | "storage"
  /** Anything else. */
  | "internal";

export class RarebitError extends Error {
  readonly code: ErrorCode;
  /** What the person can do about it; may be empty. */
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, remedy = "") {
    super(message);
    this.name = "RarebitError";
    this.code = code;
    this.remedy = remedy;
  }
}
