// A plain text to responses.

import type { Split } from "../types.ts";

/** A line of nothing but three or more of one of these signs. */
const RULE = /^[ \t]*(-{3,}|\*{3,}|={3,}|_{3,}|#{3,}|%{2,})[ \t]*$/m;

const WORDS: Record<Exclude<Split, "auto">, string> = {
  blank: "split at blank lines",
  rule: "split at lines of dashes or stars",
  line: "one per line",
  none: "one text",
};

/** Cuts a text; `auto` takes lines of dashes if there are any, else blank lines. */
export function splitText(text: string, split: Split): { responses: string[]; as: string } {
  const chosen = split === "auto" ? (RULE.test(text) ? "rule" : "blank") : split;
  const pieces = cut(text.replace(/\r\n?/g, "\n"), chosen).map((piece) => piece.trim());
  return { responses: pieces.filter((piece) => piece !== ""), as: WORDS[chosen] };
}

function cut(text: string, split: Exclude<Split, "auto">): string[] {
  switch (split) {
    case "blank":
      return text.split(/\n[ \t]*\n/);
    case "rule":
      return text.split(new RegExp(RULE, "gm")).filter((_, i) => i % 2 === 0);
    case "line":
      return text.split("\n");
    case "none":
      return [text];
  }
}
