// The pairwise distances as a heat map that can be walked with the arrow keys.

import type { Kind, Score } from "../../package/src/index.ts";
import { byId, say } from "../dom.ts";
import { fixed } from "../format.ts";
import { light, onLight } from "./spotlight.ts";

/** Up to this many texts each cell shows its number, and each row its index. */
const NUMBERED = 6;
const INDEXED = 30;
/** Room for the indices, in CSS pixels. */
const MARGIN = 18;

const place = byId("heat");
const canvas = place.querySelector("canvas") as HTMLCanvasElement;
const readout = byId("heat-readout");

let shown: { n: number; values: Float32Array; darkest: number; kind: Kind } | undefined;
let cursor: [row: number, column: number] | undefined;

/** The dark end of the scale: the largest distance, rounded up. */
export const darkestOf = (values: Float32Array) => Math.max(1, Math.ceil(values.reduce((a, b) => Math.max(a, b), 0) * 10)) / 10;

export function showHeat(score: Score | undefined, kind: Kind): void {
  const n = score?.deviations.length ?? 0;
  cursor = undefined;
  shown = score && n > 1 ? { n, values: score.distances[kind], darkest: darkestOf(score.distances[kind]), kind } : undefined;
  place.setAttribute("aria-label", shown ? `${kind} distances among ${n} texts; walk with the arrow keys, open a pair with Enter` : "no distances");
  say(byId("darkest"), shown ? `${fixed(shown.darkest, 1)} apart` : "");
  say(readout, shown ? summary(shown) : n === 1 ? "One text has no distances." : "");
  redraw();
}

function summary({ n, values }: NonNullable<typeof shown>): string {
  let [least, row, column] = [Infinity, 0, 0];
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      const value = values[i * n + j] ?? Infinity;
      if (value < least) [least, row, column] = [value, i, j];
    }
  }
  return `Nearest: ${row + 1} and ${column + 1}, ${fixed(least)} apart.`;
}

/** One pixel per cell. */
function cells(n: number, values: Float32Array, darkest: number, style: CSSStyleDeclaration): OffscreenCanvas {
  const [red, green, blue] = rgb(style.color);
  const image = new ImageData(n, n);
  const { data } = image;
  for (let k = 0; k < n * n; k++) {
    // The diagonal is left clear: no text is near or far from itself.
    const shade = k % (n + 1) === 0 ? 0 : Math.min(1, (values[k] ?? 0) / darkest);
    data[4 * k] = red;
    data[4 * k + 1] = green;
    data[4 * k + 2] = blue;
    data[4 * k + 3] = Math.round(shade * 255);
  }
  const canvas = new OffscreenCanvas(n, n);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

/** Draws the map onto a canvas context, `side` wide; also for export. */
export function paintHeat(context: CanvasRenderingContext2D, side: number, style: CSSStyleDeclaration): void {
  if (!shown) return;
  const { n, values, darkest } = shown;
  const margin = n <= INDEXED ? MARGIN : 0;
  const cell = (side - margin) / n;
  const small = cells(n, values, darkest, style);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, margin, margin, side - margin, side - margin);
  context.textAlign = "center";
  context.textBaseline = "middle";
  const family = style.fontFamily;
  const size = Math.min(11, cell * 0.8);
  if (margin > 0) {
    context.font = `${size}px ${family}`;
    context.fillStyle = style.caretColor;
    for (let i = 0; i < n; i++) {
      context.fillText(String(i + 1), margin + (i + 0.5) * cell, margin / 2);
      context.fillText(String(i + 1), margin / 2, margin + (i + 0.5) * cell);
    }
  }
  if (n <= NUMBERED) {
    context.font = `12px ${family}`;
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        const value = values[i * n + j] ?? 0;
        if (i === j) continue;
        context.fillStyle = value / darkest > 0.5 ? style.outlineColor : style.caretColor;
        context.fillText(fixed(value), margin + (j + 0.5) * cell, margin + (i + 0.5) * cell);
      }
    }
  }
  if (cursor) {
    context.strokeStyle = style.caretColor;
    context.lineWidth = 2;
    const [row, column] = cursor;
    const width = Math.max(cell, 4);
    context.strokeRect(margin + column * cell, margin + row * cell, width, width);
  }
}

function rgb(colour: string): [number, number, number] {
  const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+/g) ?? []).map(Number);
  return [r, g, b];
}

export function redraw(): void {
  const side = place.clientWidth;
  const scale = devicePixelRatio;
  canvas.width = canvas.height = Math.max(1, Math.round(side * scale));
  const context = canvas.getContext("2d");
  if (context && side > 0) {
    context.scale(scale, scale);
    paintHeat(context, side, getComputedStyle(canvas));
  }
}

function moveTo(row: number, column: number): void {
  if (!shown) return;
  cursor = [row, column];
  const value = shown.values[row * shown.n + column] ?? 0;
  say(readout, row === column ? `Text ${row + 1}.` : `${row + 1} and ${column + 1}: ${fixed(value)} apart.`);
  light(row === column ? [row] : [row, column]);
  redraw();
}

function cellAt(event: PointerEvent): [number, number] | undefined {
  if (!shown) return undefined;
  const margin = shown.n <= INDEXED ? MARGIN : 0;
  const side = place.clientWidth - margin;
  const at = (offset: number) => Math.floor(((offset - margin) / side) * (shown?.n ?? 1));
  const [row, column] = [at(event.offsetY), at(event.offsetX)];
  const inside = (k: number) => k >= 0 && k < (shown?.n ?? 0);
  return inside(row) && inside(column) ? [row, column] : undefined;
}

/** `open` shows a pair side by side. */
export function listenToHeat(open: (row: number, column: number) => void): void {
  const point = (event: PointerEvent) => {
    const cell = cellAt(event);
    if (cell) moveTo(...cell);
  };
  place.addEventListener("pointermove", point);
  place.addEventListener("pointerdown", point);
  place.addEventListener("pointerleave", () => leave());
  place.addEventListener("click", () => {
    if (cursor && cursor[0] !== cursor[1]) open(...cursor);
  });
  place.addEventListener("blur", () => leave());
  place.addEventListener("keydown", (event) => {
    if (!shown) return;
    const [row, column] = cursor ?? [0, 0];
    const steps: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const step = steps[event.key];
    if (step) {
      event.preventDefault();
      const within = (k: number) => Math.min(Math.max(k, 0), (shown?.n ?? 1) - 1);
      moveTo(...(cursor ? ([within(row + step[0]), within(column + step[1])] as const) : ([0, 1] as const)));
    } else if ((event.key === "Enter" || event.key === " ") && cursor && row !== column) {
      event.preventDefault();
      open(row, column);
    } else if (event.key === "Escape") {
      leave();
    }
  });
  new ResizeObserver(() => redraw()).observe(place);
  onLight((indices) => {
    if (indices.length === 0 && cursor) {
      cursor = undefined;
      redraw();
    }
  });
}

function leave(): void {
  cursor = undefined;
  light([]);
  if (shown) say(readout, summary(shown));
  redraw();
}
