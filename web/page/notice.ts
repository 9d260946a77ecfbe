// A sentence to the visitor, with what can be done about it.

import { RarebitError } from "../package/src/index.ts";
import { byId } from "./dom.ts";

const toast = byId("toast");
const sheet = byId("sheet-notice");

/** Shows a sentence: in the sheet of models where that is open, else at the foot of the window. */
export function notice(words: string, ...controls: HTMLElement[]): void {
  const open = byId<HTMLDialogElement>("models").open;
  const place = open ? sheet : byId("notice");
  place.replaceChildren(words, ...controls);
  (open ? sheet : toast).hidden = false;
}

export function noNotice(): void {
  toast.hidden = true;
  sheet.hidden = true;
}

/** What went wrong and what can be done about it, in words. */
export function problemOf(error: unknown): string {
  if (error instanceof RarebitError) return [error.message, error.remedy].filter((words) => words !== "").join(" ");
  return error instanceof Error ? error.message : String(error);
}

/** Says what went wrong; that someone stopped it is nothing wrong. */
export function problem(error: unknown): void {
  if (!stopped(error)) notice(problemOf(error));
}

/** Whether it ended because someone said so. */
export function stopped(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export function listenToNotices(): void {
  byId("dismiss").addEventListener("click", noNotice);
}
