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
}

export interface ScoreOptions extends Weighting {
  /** The embedder of the semantic kind. Default: `builtin:lexical`. */
  semantic?: string;
  /** The embedder of the style kind. Default: `builtin:style`. */
  style?: string;
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
  stage: string;
  done: number;
  total: number;
}

/** Options of every call that may take long. */
export interface CallOptions {
  /** Ends the call with an `AbortError`. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** What went wrong, for programs. */
export type ErrorCode =
  /** A value that was passed in cannot be used. */
  | "input"
  /** A file could not be read as what it claims to be. */
  | "file"
  /** The worker ended: out of memory, most often. The next call starts another. */
  | "worker"
  /** A part of rarebit could not be fetched. */
  | "load"
  /** Anything else. */
  | "internal";

export class RarebitError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = "RarebitError";
    this.code = code;
  }
}
