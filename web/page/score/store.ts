// The sets of texts that the page holds, and which of them is shown.

import type { Group } from "../../package/src/index.ts";

export interface Text {
  readonly id: number;
  text: string;
  score?: number;
}

export interface TextSet {
  id?: string;
  prompt: string;
  texts: Text[];
}

/** What changed: another set is shown, texts came or went, or the words of one changed. */
export type Change = "set" | "texts" | "text";

const KEY = "rarebit.sets";
/** Session storage is written while the page waits; beyond this many characters a reload starts from the example again. */
const KEPT = 200_000;

let last = 0;

const text = (text: string, score?: number): Text => ({ id: ++last, text, ...(score !== undefined && { score }) });

const setOf = (group: Group): TextSet => ({
  ...(group.id !== undefined && { id: group.id }),
  prompt: group.prompt,
  texts: group.responses.map((response) => text(response.text, response.score)),
});

export class Store {
  sets: TextSet[] = [{ prompt: "", texts: [] }];
  #at = 0;
  #listeners: ((change: Change) => void)[] = [];

  get current(): TextSet {
    return this.sets[this.#at] ?? { prompt: "", texts: [] };
  }

  get at(): number {
    return this.#at;
  }

  onChange(listener: (change: Change) => void): void {
    this.#listeners.push(listener);
  }

  /** Shows another set. */
  show(at: number): void {
    this.#at = Math.min(Math.max(at, 0), this.sets.length - 1);
    this.#tell("set");
  }

  replace(groups: Group[]): void {
    this.sets = groups.map(setOf);
    this.#at = 0;
    this.#tell("set");
  }

  /** Adds texts to the set that is shown, or sets after it if there are several. */
  extend(groups: Group[]): void {
    const [first, ...others] = groups;
    if (first && others.length === 0) {
      this.current.texts = [...this.current.texts, ...setOf(first).texts];
      this.current.prompt ||= first.prompt;
    } else {
      this.sets = [...this.sets.filter((set) => set.texts.length > 0), ...groups.map(setOf)];
    }
    this.show(this.#at);
  }

  add(): Text {
    const added = text("");
    this.current.texts.push(added);
    this.#tell("texts");
    return added;
  }

  edit(changed: Text, words: string): void {
    changed.text = words;
    this.#tell("text");
  }

  setPrompt(prompt: string): void {
    this.current.prompt = prompt;
    this.#keep();
  }

  remove(gone: Text): void {
    this.current.texts = this.current.texts.filter((text) => text !== gone);
    this.#tell("texts");
  }

  clear(): void {
    this.replace([{ prompt: "", responses: [] }]);
  }

  /** What was there before a reload of this tab; says whether there was anything. */
  restore(): boolean {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as { sets: Group[]; at: number } | null;
      if (!kept) return false;
      this.sets = kept.sets.map(setOf);
      this.show(kept.at);
      return true;
    } catch {
      return false;
    }
  }

  #tell(change: Change): void {
    this.#keep();
    for (const listener of this.#listeners) listener(change);
  }

  #timer = 0;

  #keep(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const characters = this.sets.reduce((sum, set) => sum + set.texts.reduce((n, text) => n + text.text.length, 0), 0);
      try {
        sessionStorage.removeItem(KEY);
        if (characters > KEPT) return;
        const sets: Group[] = this.sets.map(({ texts, ...set }) => ({ ...set, responses: texts.map(({ id: _, ...rest }) => rest) }));
        sessionStorage.setItem(KEY, JSON.stringify({ sets, at: this.#at }));
      } catch {
        // A browser that stores nothing still measures.
      }
    }, 400);
  }
}
