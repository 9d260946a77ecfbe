// The tab and its settings stand in the address, so that a reload, a bookmark or a link brings them
// back: `#write?samples=16&seed=7`. What has its default is left out. Nothing of it is sent anywhere:
// browsers keep what follows the `#` to themselves.

/** A control whose value is worth keeping. */
type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

/** Longer values are left out: an address is no place for a chapter. */
const LONGEST = 1000;
/** Typing is written down when it pauses. */
const PAUSE = 400;

const kept = new Map<string, Map<string, Control>>();
/** Values of lists that do not have them yet: models that are read later. */
const awaited = new Map<Control, string>();
const listeners: ((tab: string) => void)[] = [];
let timer = 0;

/** The tab that the address names. */
export function tabOf(hash = location.hash): string {
  return hash.slice(1).split("?")[0] ?? "";
}

/** Keeps these controls of a tab in the address and takes from it what they hold. */
export function keep(tab: string, controls: Record<string, Control>): void {
  kept.set(tab, new Map(Object.entries(controls)));
  for (const control of Object.values(controls)) {
    control.addEventListener("input", () => write(tab));
    control.addEventListener("change", () => write(tab));
  }
  read(tab);
}

/** Called when the address was changed by hand or by going back. */
export function onAddress(listener: (tab: string) => void): void {
  listeners.push(listener);
}

/** Writes the tab that is shown now, as a step that the browser can go back from. */
export function go(tab: string): void {
  clearTimeout(timer);
  history.pushState(null, "", `#${tab}${settings(tab)}`);
}

/** Sets a control in words, and says so to whoever listens to it. */
export function set(control: Control, value: string): void {
  if (control instanceof HTMLInputElement && (control.type === "checkbox" || control.type === "radio")) control.checked = value === "1";
  else control.value = value;
  control.dispatchEvent(new Event("change", { bubbles: true }));
}

/** What the address asks of a list that does not have it. */
export function wanted(select: HTMLSelectElement): string | undefined {
  return awaited.get(select);
}

/** A list has new options: if the address asked for one of them, it is chosen now. */
export function refill(select: HTMLSelectElement): void {
  const wanted = awaited.get(select);
  if (wanted !== undefined && [...select.options].some((option) => option.value === wanted)) {
    awaited.delete(select);
    set(select, wanted);
  }
}

function write(tab: string): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if ((tabOf() || "score") === tab) history.replaceState(null, "", `#${tab}${settings(tab)}`);
  }, PAUSE);
}

function settings(tab: string): string {
  const pairs = new URLSearchParams();
  for (const [name, control] of kept.get(tab) ?? []) {
    const value = awaited.get(control) ?? valueOf(control);
    if (value !== defaultOf(control) && value.length <= LONGEST) pairs.set(name, value);
  }
  return pairs.size > 0 ? `?${pairs}` : "";
}

function read(tab: string): void {
  if ((tabOf() || "score") !== tab) return;
  const pairs = new URLSearchParams(location.hash.split("?").slice(1).join("?"));
  for (const [name, control] of kept.get(tab) ?? []) {
    const value = pairs.get(name) ?? defaultOf(control);
    if (value === valueOf(control)) continue;
    if (control instanceof HTMLSelectElement && ![...control.options].some((option) => option.value === value)) {
      awaited.set(control, value);
      continue;
    }
    const before = valueOf(control);
    set(control, value);
    if (!control.checkValidity()) set(control, before);
  }
}

function valueOf(control: Control): string {
  if (control instanceof HTMLInputElement && control.type === "checkbox") return control.checked ? "1" : "";
  return control.value;
}

function defaultOf(control: Control): string {
  if (control instanceof HTMLSelectElement) return ([...control.options].find((option) => option.defaultSelected) ?? control.options[0])?.value ?? "";
  if (control instanceof HTMLInputElement && control.type === "checkbox") return control.defaultChecked ? "1" : "";
  return control.defaultValue;
}

addEventListener("hashchange", () => {
  for (const listener of listeners) listener(tabOf());
  for (const tab of kept.keys()) read(tab);
});
