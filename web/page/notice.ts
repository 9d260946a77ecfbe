// A sentence to the visitor, with what can be done about it.

import { byId } from "./dom.ts";

const place = byId("notice");

export function notice(words: string, ...controls: HTMLElement[]): void {
  place.replaceChildren(words, ...controls);
  place.hidden = false;
}

export function noNotice(): void {
  place.hidden = true;
}

/** What went wrong, as a sentence. */
export function problem(error: unknown): void {
  notice(error instanceof Error ? error.message : String(error));
}
