// What the two lines say, in two sentences, and whether so few texts can say it.

import type { Kind } from "../../package/src/index.ts";
import { byId, make } from "../dom.ts";
import { fixed } from "../format.ts";
import type { Line } from "./chart.ts";
import type { Point } from "./diversity.ts";

/** Two standard errors: what chance alone would seldom give. */
const SURE = 2;

const headline = byId("verdict");
const caution = byId("caution");

export type Curves = Record<Kind, Line[]>;

export function showVerdict(curves: Curves): void {
  const [first, second] = curves.style.map((line, i) => ends(line, curves.semantic[i]));
  if (!first || !second) return;
  headline.replaceChildren(
    "After ",
    `${first.texts === second.texts ? `${first.texts} texts each` : `${first.texts} and ${second.texts} texts`}, `,
    own(first.letter, first.name),
    "’s are ",
    number("style", first.style.value),
    " apart in how they tell and ",
    number("semantic", first.semantic.value),
    " in what they tell; ",
    own(second.letter, second.name),
    "’s ",
    number("style", second.style.value),
    " and ",
    number("semantic", second.semantic.value),
    ".",
  );
  caution.textContent = `${difference("style", first, second)} ${difference("semantic", first, second)}`;
}

/** As it was before anything was written. */
export function noVerdict(): void {
  headline.textContent = "How much do they differ?";
  caution.textContent = "Diversity is the mean distance between two of a model’s texts. It is drawn here as the texts come in.";
}

interface Ends {
  letter: string;
  name: string;
  texts: number;
  style: Point;
  semantic: Point;
}

function ends(line: Line, semantic: Line | undefined): Ends | undefined {
  const [style, meaning] = [line.points.at(-1), semantic?.points.at(-1)];
  return style && meaning && { letter: line.letter, name: line.name, texts: style.texts, style, semantic: meaning };
}

function difference(kind: Kind, first: Ends, second: Ends): string {
  const [a, b] = [first[kind], second[kind]];
  const where = kind === "style" ? "In style" : "In meaning";
  if (a.error === undefined || b.error === undefined) return `${where} it takes four texts each to tell.`;
  const gap = b.value - a.value;
  const noise = SURE * Math.hypot(a.error, b.error);
  if (Math.abs(gap) <= noise) return `${where} the difference, ${signed(gap)} ± ${fixed(noise)}, may be chance: let them write more.`;
  const more = gap > 0 ? second : first;
  const less = gap > 0 ? first : second;
  return `${where} ${more.name} is ${Math.round((more[kind].value / less[kind].value - 1) * 100)} % more diverse, ${signed(gap)} ± ${fixed(noise)}: more than chance would give.`;
}

const signed = (value: number) => `${value < 0 ? "−" : "+"}${fixed(Math.abs(value))}`;
const own = (letter: string, name: string) => make("b", { class: `of-${letter}` }, name);
const number = (kind: Kind, value: number) => make("b", { class: kind }, fixed(value));
