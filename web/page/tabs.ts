// The two tabs: which is shown stands in the address.

import { go, onAddress, tabOf } from "./address.ts";
import { byId } from "./dom.ts";

export type Tab = "score" | "write";

const TITLES: Record<Tab, string> = {
  score: "rarebit: how different are these texts?",
  write: "rarebit: two models, one prompt",
};
const TABS = Object.keys(TITLES) as Tab[];

const shown: ((tab: Tab) => void)[] = [];
let current: Tab | undefined;

export function isShown(tab: Tab): boolean {
  return current === tab;
}

/** Called each time a tab comes into view. */
export function onTab(listener: (tab: Tab) => void): void {
  shown.push(listener);
}

/** Shows a tab and writes it into the address. */
export function showTab(tab: Tab): void {
  if (tab === current) return;
  go(tab);
  show(tab);
  scrollTo({ top: 0 });
}

function show(tab: Tab): void {
  if (tab === current) return;
  current = tab;
  document.title = TITLES[tab];
  for (const name of TABS) {
    const button = byId(`tab-${name}`);
    button.setAttribute("aria-selected", String(name === tab));
    button.tabIndex = name === tab ? 0 : -1;
    byId(`panel-${name}`).hidden = name !== tab;
  }
  for (const listener of shown) listener(tab);
}

const named = (hash: string): Tab => TABS.find((tab) => tab === hash) ?? "score";

/** Reads the address and listens to buttons and keys. */
export function listenToTabs(): void {
  for (const [at, tab] of TABS.entries()) {
    const button = byId(`tab-${tab}`);
    button.addEventListener("click", () => showTab(tab));
    button.addEventListener("keydown", (event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
      const next = to === undefined ? undefined : TABS[(to + TABS.length) % TABS.length];
      if (!next) return;
      event.preventDefault();
      showTab(next);
      byId(`tab-${next}`).focus();
    });
  }
  // The way past the header leads into the tab that is shown; the address keeps its settings.
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId(current === "write" ? "ask" : "texts").focus();
  });
  onAddress((tab) => show(named(tab)));
  show(named(tabOf()));
}
