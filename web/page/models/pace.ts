// How fast bytes come in, and how long the rest will take.

/** Seconds over which the rate is averaged. */
const WINDOW = 3;

export class Pace {
  #points: { time: number; done: number }[] = [];
  #left = 0;

  /** This many bytes are here now, of so many. */
  at(done: number, total: number, time = performance.now() / 1000): void {
    this.#points.push({ time, done });
    this.#left = total - done;
    const after = this.#points.findIndex((point) => point.time > time - WINDOW);
    if (after > 1) this.#points.splice(0, after - 1);
  }

  /** Bytes a second, of late; undefined before there is anything to go by. */
  get rate(): number | undefined {
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    if (!first || !last || last.time - first.time < 0.3) return undefined;
    return (last.done - first.done) / (last.time - first.time);
  }

  /** Seconds until the rest is here. */
  get eta(): number | undefined {
    const { rate } = this;
    return rate ? this.#left / rate : undefined;
  }
}
