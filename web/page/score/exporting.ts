// What the visitor takes away: CSV and JSON of every set, PNG of the figures.

import { score, type Kind, type ScoreOptions } from "../../package/src/index.ts";
import { byId, say } from "../dom.ts";
import { notice, problem } from "../notice.ts";
import { paintHeat } from "./heat.ts";
import { filled, MOST, type Measured } from "./scoring.ts";
import type { Store } from "./store.ts";

interface Exported extends Measured {
  id?: string;
  prompt: string;
}

/** Measures every set, those that are not shown, too. */
async function everything(store: Store, options: ScoreOptions): Promise<Exported[]> {
  const all: Exported[] = [];
  for (const { id, prompt, texts } of store.sets) {
    if (store.sets.length > 1) notice(`Measuring set ${all.length + 1} of ${store.sets.length}…`);
    const measured = filled(texts).slice(0, MOST);
    const result = await score(
      measured.map((text) => text.text),
      options,
    );
    all.push({ ...(id !== undefined && { id }), prompt, texts: measured, score: result });
  }
  return all;
}

function csv(sets: Exported[]): string {
  const head = ["prompt_id", "prompt", "response", "score", "deviation_semantic", "deviation_style", "normalized_semantic", "normalized_style", "weight"];
  const lines = sets.flatMap(({ id, prompt, texts, score }, set) =>
    score.deviations.map((d, i) => {
      const text = texts[i];
      return [id ?? String(set + 1), prompt, text?.text, text?.score, d.semantic, d.style, d.normalizedSemantic, d.normalizedStyle, d.weight].map(field).join(",");
    }),
  );
  return [head.join(","), ...lines, ""].join("\r\n");
}

function field(value: string | number | null | undefined): string {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function json(sets: Exported[], { semantic: _, style: __, ...weighting }: ScoreOptions): string {
  const rows = (values: Float32Array, n: number) => Array.from({ length: n }, (_, i) => [...values.subarray(i * n, (i + 1) * n)]);
  const groups = sets.map(({ id, prompt, texts, score }, set) => ({
    prompt_id: id ?? String(set + 1),
    prompt,
    metrics: Object.fromEntries(score.measures.map(({ name, value }) => [name, value])),
    responses: score.deviations.map((d, i) => ({
      text: texts[i]?.text,
      ...(texts[i]?.score !== undefined && { score: texts[i]?.score }),
      deviation_semantic: d.semantic,
      deviation_style: d.style,
      normalized_semantic: d.normalizedSemantic,
      normalized_style: d.normalizedStyle,
      weight: d.weight,
    })),
    distances: { semantic: rows(score.distances.semantic, texts.length), style: rows(score.distances.style, texts.length) },
  }));
  return `${JSON.stringify({ embedders: sets[0]?.score.embedders, weighting, groups }, null, 1)}\n`;
}

/** The heat map and the map side by side, on the page's own paper. */
async function png(kind: Kind): Promise<Blob> {
  const [side, margin, scale] = [520, 40, 2];
  const canvas = new OffscreenCanvas((2 * side + 3 * margin) * scale, (side + 3.4 * margin) * scale);
  const context = canvas.getContext("2d") as unknown as CanvasRenderingContext2D;
  const page = getComputedStyle(document.body);
  context.scale(scale, scale);
  context.fillStyle = page.backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = page.color;
  context.font = `17px ${page.fontFamily}`;
  context.fillText(byId("finding").textContent ?? "", margin, margin);
  const style = getComputedStyle(byId("heat").querySelector("canvas") as Element);
  context.save();
  context.translate(margin, margin * 1.7);
  paintHeat(context, side, style);
  context.restore();
  context.drawImage(await mapImage(kind), margin * 2 + side, margin * 1.7, side, side);
  context.font = `13px ${style.fontFamily}`;
  context.fillStyle = getComputedStyle(byId("heat-readout")).color;
  context.fillText(`${kind} distances, from 0 to ${byId("darkest").textContent}. ${byId("map-readout").textContent}`, margin, side + margin * 2.6);
  return canvas.convertToBlob({ type: "image/png" });
}

/** The map's drawing as a picture; its style sheet is written into it. */
async function mapImage(kind: Kind): Promise<HTMLImageElement> {
  const original = byId("map").querySelector("svg") as SVGSVGElement;
  const drawing = original.cloneNode(true) as SVGSVGElement;
  const painted = original.querySelectorAll<SVGElement>("circle, text, path");
  drawing.querySelectorAll<SVGElement>("circle, text, path").forEach((copy, i) => {
    const style = getComputedStyle(painted[i] as Element);
    for (const name of ["fill", "stroke", "font-family", "font-size", "text-anchor"]) {
      copy.setAttribute(name, style.getPropertyValue(name));
    }
  });
  drawing.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  drawing.setAttribute("width", "1040");
  drawing.setAttribute("height", "1040");
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(drawing)], { type: "image/svg+xml" }));
  const image = new Image();
  image.alt = `${kind} map`;
  image.src = url;
  try {
    await image.decode();
  } finally {
    URL.revokeObjectURL(url);
  }
  return image;
}

function save(content: BlobPart, type: string, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  notice(`Saved as ${name}.`);
}

export function listenToExports(store: Store, options: () => Promise<ScoreOptions>, kind: () => Kind): void {
  const on = (id: string, task: () => Promise<void>) =>
    byId<HTMLButtonElement>(id).addEventListener("click", async (event) => {
      const button = event.currentTarget as HTMLButtonElement;
      button.disabled = true;
      await task().catch(problem);
      button.disabled = false;
    });
  on("csv", async () => save(csv(await everything(store, await options())), "text/csv", "rarebit.csv"));
  on("json", async () => {
    const asked = await options();
    save(json(await everything(store, asked), asked), "application/json", "rarebit.json");
  });
  on("png", async () => save(await png(kind()), "image/png", `rarebit-${kind()}.png`));
  store.onChange(() => say(byId("export-scope"), store.sets.length > 1 ? `CSV and JSON hold all ${store.sets.length} sets.` : ""));
}
