// How different the first k texts of one model are, for every k: from one matrix of distances.

/** The mean distance of the first `texts` texts, and how far chance may have moved it. */
export interface Point {
  texts: number;
  value: number;
  /** Standard error by the jackknife: each text is left out once. Of fewer than four texts it says nothing. */
  error: number | undefined;
}

/** Distances row after row, `[n, n]`, to a point for each k from 2 to n. */
export function curve(distances: Float32Array, n: number): Point[] {
  const points: Point[] = [];
  const sums = new Float64Array(n);
  let total = 0;
  for (let k = 1; k < n; k++) {
    let added = 0;
    for (let i = 0; i < k; i++) {
      const distance = distances[k * n + i] ?? 0;
      sums[i] = (sums[i] ?? 0) + distance;
      added += distance;
    }
    sums[k] = added;
    total += added;
    points.push({ texts: k + 1, value: total / pairs(k + 1), error: jackknife(sums.subarray(0, k + 1), total) });
  }
  return points;
}

const pairs = (n: number) => (n * (n - 1)) / 2;

/** `sums` holds each text's distances to all others together, `total` those of all pairs. */
function jackknife(sums: Float64Array, total: number): number | undefined {
  const n = sums.length;
  if (n < 4) return undefined;
  const without = Array.from(sums, (sum) => (total - sum) / pairs(n - 1));
  const mean = without.reduce((a, b) => a + b, 0) / n;
  const squares = without.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(((n - 1) / n) * squares);
}
