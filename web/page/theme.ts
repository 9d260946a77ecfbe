// Light or dark: as the system has it, until the visitor says otherwise.

import { byId } from "./dom.ts";

const KEY = "rarebit.theme";
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (root.dataset["theme"] ?? (system.matches ? "dark" : "light")) === "dark";

/** `changed` is called after the colours have changed: canvases must be drawn anew. */
export function listenToTheme(changed: () => void): void {
  const button = byId("theme");
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${isDark() ? "light" : "dark"} colours`);
  };
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === "light" || kept === "dark") root.dataset["theme"] = kept;
  } catch {
    // Without storage the system decides.
  }
  label();
  system.addEventListener("change", () => {
    label();
    changed();
  });
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    root.dataset["theme"] = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Then it holds until the page is closed.
    }
    label();
    changed();
  });
}
