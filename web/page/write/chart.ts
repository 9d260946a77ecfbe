// Diversity against the number of texts: one drawing for each kind of distance, one line for each model.

import type { Kind } from "../../package/src/index.ts";
import { byId, draw } from "../dom.ts";
import { fixed } from "../format.ts";
import type { Point } from "./diversity.ts";

export type Letter = "a" | "b";

/** One model's line. */
export interface Line {
  letter: Letter;
  name: string;
  points: Point[];
}

const HEIGHT = 210;
const ROOM = { top: 14, right: 118, bottom: 30, left: 40 };
/** The least that the vertical axis spans, so that noise does not look like a finding. */
const SPAN = 0.2;
/** Least distance of two labels. */
const APART = 17;

const last: Partial<Record<Kind, { lines: Line[]; most: number }>> = {};

/** Draws the lines of a kind; `most` is how many texts there will be. */
export function showCurve(kind: Kind, lines: Line[], most: number): void {
  last[kind] = { lines, most };
  const place = byId(`curve-${kind}`);
  const width = Math.max(260, place.clientWidth);
  const plot = { width: width - ROOM.left - ROOM.right, height: HEIGHT - ROOM.top - ROOM.bottom };
  const [low, high, step] = range(lines.flatMap(({ points }) => points.flatMap(({ value, error = 0 }) => [value - error, value + error])));
  const x = (texts: number) => ROOM.left + (plot.width * (texts - 2)) / Math.max(1, most - 2);
  const y = (value: number) => ROOM.top + plot.height * (1 - (value - low) / (high - low));
  const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width: String(width), height: String(HEIGHT), role: "img", "aria-label": words(kind, lines) });
  for (let value = low; value <= high + 1e-9; value += step) {
    const at = y(value).toFixed(1);
    svg.append(draw("path", { class: "rule", d: `M${ROOM.left} ${at}H${width - ROOM.right}` }), draw("text", { class: "tick", x: String(ROOM.left - 8), y: at, dy: "0.32em", "text-anchor": "end" }, fixed(value, step === 0.1 || step === 0.2 || step >= 0.5 ? 1 : 2)));
  }
  for (const texts of ticks(most)) {
    svg.append(draw("text", { class: "tick", x: x(texts).toFixed(1), y: String(HEIGHT - 11), "text-anchor": "middle" }, texts === most ? `${texts} texts` : String(texts)));
  }
  const labels = apart(lines.map(({ points }) => y(points.at(-1)?.value ?? low)));
  lines.forEach(({ letter, name, points }, i) => {
    const end = points.at(-1);
    if (!end) return;
    const path = points.map(({ texts, value }) => `${x(texts).toFixed(1)} ${y(value).toFixed(1)}`);
    const sure = points.filter(({ error }) => error !== undefined);
    const edge = (sign: number) => sure.map(({ texts, value, error = 0 }) => `${x(texts).toFixed(1)} ${y(value + sign * error).toFixed(1)}`);
    const group = draw("g", { class: "line", "data-side": letter });
    if (sure.length > 1) group.append(draw("path", { class: "band", d: `M${[...edge(1), ...edge(-1).reverse()].join("L")}Z` }));
    group.append(draw("path", { class: "stroke", d: `M${path.join("L")}` }));
    for (const { texts, value } of points) group.append(draw("circle", { cx: x(texts).toFixed(1), cy: y(value).toFixed(1), r: points.length > 20 ? "2" : "3.2" }));
    group.append(draw("text", { class: "name", x: (x(end.texts) + 10).toFixed(1), y: (labels[i] ?? 0).toFixed(1), dy: "0.32em" }, `${name} ${fixed(end.value)}`));
    svg.append(group);
  });
  place.replaceChildren(svg);
}

function words(kind: Kind, lines: Line[]): string {
  const ends = lines.flatMap(({ name, points }) => {
    const end = points.at(-1);
    return end ? [`${name} ${fixed(end.value)} after ${end.texts} texts`] : [];
  });
  return ends.length > 0 ? `${kind} diversity: ${ends.join(", ")}` : `${kind} diversity: nothing yet`;
}

/** An axis that holds the values: its ends and its step. */
function range(values: number[]): [low: number, high: number, step: number] {
  if (values.length === 0) return [0, 1, 0.25];
  let [low, high] = [Math.max(0, Math.min(...values)), Math.max(...values)];
  if (high - low < SPAN) [low, high] = [Math.max(0, (low + high - SPAN) / 2), (low + high + SPAN) / 2];
  const step = [0.05, 0.1, 0.2, 0.25, 0.5].find((step) => (high - low) / step <= 4.5) ?? 1;
  return [Math.floor(low / step) * step, Math.ceil(high / step) * step, step];
}

/** Two texts, round numbers, and all of them. */
function ticks(most: number): number[] {
  const step = [1, 2, 5, 10, 20, 50].find((step) => most / step <= 6) ?? 100;
  const all = [2];
  for (let texts = step; texts <= most - step / 2; texts += step) if (texts >= 2 + step / 2) all.push(texts);
  return most > 2 ? [...all, most] : all;
}

/** Moves labels from each other. */
function apart(places: number[]): number[] {
  const [first = 0, second = 0] = places;
  const lack = APART - Math.abs(first - second);
  if (places.length < 2 || lack <= 0) return places;
  const down = first >= second ? 1 : -1;
  return [first + (down * lack) / 2, second - (down * lack) / 2];
}

/** Another width is another drawing. */
export function listenToCurves(): void {
  const redraw = () => {
    for (const kind of ["semantic", "style"] as const) {
      const shown = last[kind];
      if (shown) showCurve(kind, shown.lines, shown.most);
    }
  };
  let width = 0;
  new ResizeObserver(([entry]) => {
    const now = entry?.contentRect.width ?? 0;
    if (now > 0 && Math.abs(now - width) > 1) {
      width = now;
      redraw();
    }
  }).observe(byId("curve-style"));
}
