// Measuring the set that is shown: soon after it changes, the latest change first.

import { score, type Progress, type Score, type ScoreOptions } from "../../package/src/index.ts";
import type { Text } from "./store.ts";

/** A set as it was measured. */
export interface Measured {
  /** The texts that hold anything; the indices of `score` are those of this list. */
  texts: Text[];
  score: Score;
}

/** More texts than this are not measured at once: a set's distances grow with its square. */
export const MOST = 1000;

/** What counts as a text. */
export const filled = (texts: Text[]) => texts.filter((text) => text.text.trim() !== "");

/** Longer than most machines take: then the page says what it is doing. */
const PATIENCE = 250;

export interface Events {
  onMeasured(measured: Measured): void;
  onFailed(problem: Error): void;
  onProgress(progress: Progress | undefined): void;
}

export class Scoring {
  #events: Events;
  #timer = 0;
  #running: AbortController | undefined;

  constructor(events: Events) {
    this.#events = events;
  }

  /** Measures these texts, `delay` milliseconds from now unless other texts come first. */
  request(texts: Text[], options: () => Promise<ScoreOptions>, delay: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#measure(filled(texts).slice(0, MOST), options), delay);
  }

  async #measure(texts: Text[], options: () => Promise<ScoreOptions>): Promise<void> {
    this.#running?.abort();
    const running = (this.#running = new AbortController());
    let shown: Progress = { stage: "measuring", done: 0, total: 1 };
    const late = setTimeout(() => this.#events.onProgress(shown), PATIENCE);
    const started = performance.now();
    try {
      const onProgress = (progress: Progress) => {
        shown = progress;
        if (performance.now() - started > PATIENCE && !running.signal.aborted) this.#events.onProgress(progress);
      };
      const result = await score(
        texts.map((text) => text.text),
        { ...(await options()), signal: running.signal, onProgress },
      );
      if (!running.signal.aborted) {
        this.#events.onMeasured({ texts, score: result });
      }
    } catch (error) {
      if (!running.signal.aborted) {
        this.#events.onFailed(error instanceof Error ? error : new Error(String(error)));
      }
    } finally {
      clearTimeout(late);
      if (this.#running === running) {
        this.#running = undefined;
        this.#events.onProgress(undefined);
      }
    }
  }
}
