// The pairs that are nearly the same, and two texts side by side with what they share marked.

import { shared, type Score, type Shared } from "../../package/src/index.ts";
import { byId, make } from "../dom.ts";
import { count, fixed, gist } from "../format.ts";
import { light } from "./spotlight.ts";
import type { Text } from "./store.ts";

/** Pairs that are listed, the nearest first. */
const LISTED = 30;
/** Of longer texts only the beginning is compared word by word. */
const COMPARED = 20_000;

const list = byId("pairs");
const threshold = byId<HTMLInputElement>("threshold");
let shown: { score: Score; texts: Text[] } | undefined;

interface Pair {
  row: number;
  column: number;
  distance: number;
}

export function showPairs(score: Score | undefined, texts: Text[]): void {
  shown = score && { score, texts };
  const limit = Number(threshold.value);
  byId("threshold-value").textContent = fixed(limit);
  const pairs = score ? below(score.distances.semantic, texts.length, limit) : [];
  const all = (texts.length * (texts.length - 1)) / 2;
  const words =
    texts.length < 2 ? "It takes two texts to be the same." : pairs.length === 0 ? `None of ${count(all, "pair")}.` : `${count(pairs.length, "pair")} of ${all.toLocaleString("en")}${pairs.length > LISTED ? `; the nearest ${LISTED}:` : ":"}`;
  list.replaceChildren(
    make("p", { class: "absent", role: "status" }, words),
    make("ul", { class: "pairs-list" }, ...pairs.slice(0, LISTED).map((pair) => make("li", {}, entry(pair)))),
  );
}

/** The pairs nearer than a limit, the nearest first. */
function below(distances: Float32Array, n: number, limit: number): Pair[] {
  const pairs: Pair[] = [];
  for (let row = 0; row < n; row++) {
    for (let column = row + 1; column < n; column++) {
      const distance = distances[row * n + column] ?? 2;
      if (distance < limit) pairs.push({ row, column, distance });
    }
  }
  return pairs.sort((a, b) => a.distance - b.distance);
}

function entry({ row, column, distance }: Pair): HTMLDetailsElement {
  const text = (i: number) => shown?.texts[i]?.text ?? "";
  const same = text(row).trim() === text(column).trim();
  const details = make(
    "details",
    {},
    make(
      "summary",
      {},
      make("span", {}, `${row + 1} and ${column + 1}`),
      make("span", { class: "number" }, fixed(distance)),
      make("span", { class: "gist" }, same ? "the same text" : gist(text(row), 70)),
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) {
      details.append(side(text(row), text(column), row, column));
    }
  });
  details.addEventListener("pointerenter", () => light([row, column]));
  details.addEventListener("pointerleave", () => light([]));
  return details;
}

/** Two texts beside each other; what they share is marked when the worker has found it. */
function side(first: string, second: string, row: number, column: number): HTMLElement {
  const texts = [first, second].map((text) => text.slice(0, COMPARED));
  const [a = "", b = ""] = texts;
  const place = (text: string, i: number) => make("p", { tabindex: "0", role: "region", "aria-label": `Text ${i + 1}` }, text);
  const [left, right] = [place(a, row), place(b, column)];
  const mark = async (place: HTMLElement, text: string, other: string) => {
    try {
      place.replaceChildren(...marked(text, await shared(text, other)));
    } catch {
      // The texts are there without their marks.
    }
  };
  void mark(left, a, b);
  void mark(right, b, a);
  return make("div", { class: "side" }, left, right);
}

function marked(text: string, stretches: Shared[]): (Node | string)[] {
  const pieces: (Node | string)[] = [];
  let at = 0;
  for (const { start, end, phrase } of stretches) {
    pieces.push(text.slice(at, start), make("mark", phrase ? { class: "phrase" } : {}, text.slice(start, end)));
    at = end;
  }
  pieces.push(text.slice(at));
  return pieces;
}

/** Opens a pair, listed or not. */
export function openPair(row: number, column: number): void {
  if (!shown) return;
  const [first, second] = [Math.min(row, column), Math.max(row, column)];
  const n = shown.texts.length;
  const details = entry({ row: first, column: second, distance: shown.score.distances.semantic[first * n + second] ?? 0 });
  const ul = list.querySelector("ul");
  ul?.prepend(make("li", {}, details));
  details.open = true;
  details.scrollIntoView({ block: "nearest" });
  details.querySelector("summary")?.focus({ preventScroll: true });
}

export function listenToPairs(): void {
  threshold.addEventListener("input", () => showPairs(shown?.score, shown?.texts ?? []));
}
