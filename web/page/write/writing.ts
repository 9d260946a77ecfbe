// Letting one model write several texts: a few at once, which is faster than one after the other, and
// not all at once, so that they end one by one.

import { generate, type GenerateOptions, type Model, type Piece } from "../../package/src/index.ts";

/** Texts that are written side by side. */
const AT_ONCE = 4;

export interface Course {
  /** A piece of the text with this number. */
  onPiece(number: number, piece: Piece): void;
  /** A text has ended. */
  onText(): void;
  /** Tokens a second since the first token, and the seconds before it. */
  onSpeed(perSecond: number | undefined, first: number): void;
}

/** Writes `samples` texts. Those that begin at text i are sampled with the seed + i: the same settings give the same texts. */
export async function writeTexts(model: Model, prompt: string, samples: number, options: GenerateOptions, course: Course): Promise<void> {
  const { seed = 0, signal } = options;
  let first: number | undefined;
  let [timed, spent] = [0, 0];
  for (let from = 0; from < samples; from += AT_ONCE) {
    const numReturnSequences = Math.min(AT_ONCE, samples - from);
    const asked = performance.now();
    let began = 0;
    let tokens = 0;
    for await (const piece of generate(model, prompt, { ...options, seed: seed + from, numReturnSequences })) {
      signal?.throwIfAborted();
      if (piece.token !== null) {
        began ||= performance.now();
        first ??= (began - asked) / 1000;
        tokens++;
      }
      course.onPiece(from + piece.sample, piece);
      if (piece.done) course.onText();
      if (began > 0 && first !== undefined) {
        // The first token of a text has no time of its own: it is what the others are timed from.
        const counted = timed + Math.max(0, tokens - numReturnSequences);
        const time = (spent + performance.now() - began) / 1000;
        course.onSpeed(counted > 0 && time > 0 ? counted / time : undefined, first);
      }
    }
    timed += Math.max(0, tokens - numReturnSequences);
    if (began > 0) spent += performance.now() - began;
  }
}
