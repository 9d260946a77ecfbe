// What was found, in two sentences.

import type { Measure } from "../../package/src/index.ts";
import { byId, make } from "../dom.ts";
import { count, fixed, gist } from "../format.ts";
import { MOST, type Measured } from "./scoring.ts";

const headline = byId("finding");
const further = byId("further");

export function showFinding({ texts, score }: Measured, all: number): void {
  const value = (name: string) => score.measures.find((measure: Measure) => measure.name === name)?.value;
  const [semantic, style] = [value("semantic_diversity"), value("style_diversity")];
  if (semantic === undefined || style === undefined) {
    headline.textContent = texts.length === 1 ? "One text is alone: there is nothing for it to differ from." : "There is nothing to measure yet.";
    further.textContent = "Paste some texts, open a file, or start from an example.";
    return;
  }
  headline.replaceChildren(
    `${texts.length === 2 ? "Two" : texts.length.toLocaleString("en")} texts, on average `,
    make("b", { class: "semantic" }, fixed(semantic)),
    " apart in what they tell and ",
    make("b", { class: "style" }, fixed(style)),
    " in how they tell it.",
  );
  further.replaceChildren(...extremes({ texts, score }), ...remarks({ texts, score }, all, value("duplicates") ?? 0));
}

function extremes({ texts, score }: Measured): (Node | string)[] {
  const weights = score.deviations.map((deviation) => deviation.weight);
  const [most, least] = [Math.max(...weights), Math.min(...weights)];
  if (texts.length < 3 || most - least < 1e-9) {
    return ["All weights are 1: no text stands out. "];
  }
  const named = (i: number) => `${i + 1}, “${gist(texts[i]?.text ?? "", 34)}”`;
  const usual = weights.filter((weight) => weight === least).length;
  return [
    `The rarest is ${named(weights.indexOf(most))} with weight ${fixed(most)}; `,
    usual === 1 ? `the most usual is ${named(weights.indexOf(least))} with ${fixed(least)}. ` : `${usual} share the least weight, ${fixed(least)}. `,
  ];
}

function remarks({ texts }: Measured, all: number, duplicates: number): string[] {
  const repeats = Math.round(duplicates * texts.length);
  const short = texts.filter((text) => text.text.length < 200).length;
  return [
    repeats > 0 ? `${count(repeats, "text is an exact repeat", "texts are exact repeats")}. ` : "",
    short > texts.length / 2 ? "Most are short: style is noisy below some fifty words. " : "",
    all > texts.length ? `Only the first ${MOST.toLocaleString("en")} of ${all.toLocaleString("en")} are measured; the command line measures any number.` : "",
  ].filter((remark) => remark !== "");
}
