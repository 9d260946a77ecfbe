// The measures of the whole set, as a table.

import type { Measure } from "../../package/src/index.ts";
import { byId, make } from "../dom.ts";
import { fixed } from "../format.ts";

const READING = { higher: "higher", lower: "lower", neither: "" };

export function showMeasures(measures: Measure[]): void {
  const rows = measures.map(({ name, label, value, better, source }) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, label),
      make("td", { class: "number" }, name === "length" ? fixed(value, 1) : fixed(value, 3)),
      make("td", {}, READING[better]),
      make("td", {}, source.match(/arXiv \d+\.\d+/)?.[0] ?? ""),
    ),
  );
  byId("measures").replaceChildren(
    make("caption", { class: "unseen" }, "Measures of the whole set"),
    make(
      "thead",
      {},
      make(
        "tr",
        {},
        make("th", { scope: "col" }, "Measure"),
        make("th", { scope: "col", class: "number" }, "Value"),
        make("th", { scope: "col" }, "More diverse if"),
        make("th", { scope: "col" }, "Source"),
      ),
    ),
    make("tbody", {}, ...rows),
  );
}
