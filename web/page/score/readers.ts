// What reads the texts: the built-in embedders, or a model in their place.

import type { Kind, ScoreOptions } from "../../package/src/index.ts";
import { refill } from "../address.ts";
import { byId, make, say } from "../dom.ts";
import { size } from "../format.ts";
import { able, find, load, onLibrary } from "../models/library.ts";
import { openModels } from "../models/sheet.ts";
import { missing } from "../models/words.ts";

const BUILTIN: Record<Kind, [name: string, words: string][]> = {
  semantic: [["builtin:lexical", "its words (built in)"]],
  style: [["builtin:style", "its manner (built in)"]],
};
/** The list's entry that is not an embedder. */
const OTHER = "+";

const lists: Record<Kind, HTMLSelectElement> = { semantic: byId("semantic"), style: byId("style") };
const chosen: Record<Kind, string> = { semantic: "builtin:lexical", style: "builtin:style" };

/** The embedders that are chosen. A model that is not in memory is read; its files are here. */
export async function readers(): Promise<Pick<ScoreOptions, Kind>> {
  const found: Pick<ScoreOptions, Kind> = {};
  for (const kind of ["semantic", "style"] as const) {
    const entry = find(chosen[kind]);
    if (entry) found[kind] = await load(entry);
  }
  return found;
}

function show(): void {
  for (const kind of ["semantic", "style"] as const) {
    const list = lists[kind];
    const models = able("embedder").map((entry) => {
      const cost = missing(entry);
      return [entry.key, cost > 0 ? `${entry.name} (${size(cost)})` : entry.name] as const;
    });
    const wanted = [...BUILTIN[kind], ...models, [OTHER, "a model…"] as const];
    const same = wanted.length === list.options.length && wanted.every(([value], i) => list.options[i]?.value === value);
    if (same) {
      wanted.forEach(([, words], i) => say(list.options[i] as Element, words));
      continue;
    }
    list.replaceChildren(...wanted.map(([value, words]) => make("option", { value }, words)));
    if (!wanted.some(([value]) => value === chosen[kind])) chosen[kind] = BUILTIN[kind][0]?.[0] ?? "";
    list.value = chosen[kind];
    refill(list);
  }
}

/** `changed` is called when another embedder was chosen. */
export function listenToReaders(changed: () => void): void {
  for (const kind of ["semantic", "style"] as const) {
    lists[kind].addEventListener("change", () => {
      const entry = find(lists[kind].value);
      if (lists[kind].value === OTHER || (entry && missing(entry) > 0)) {
        // Whatever must be fetched first is loaded in the sheet, where its size stands.
        lists[kind].value = chosen[kind];
        openModels();
      } else {
        chosen[kind] = lists[kind].value;
        changed();
      }
    });
  }
  onLibrary(show);
  show();
}
