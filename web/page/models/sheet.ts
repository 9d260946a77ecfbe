// The sheet of models and machine: what computes, which models there are, and how others are added.

import { modelSize, type ModelSource } from "../../package/src/index.ts";
import { byId, make, say } from "../dom.ts";
import { size } from "../format.ts";
import { notice, problem } from "../notice.ts";
import { add, addAdapter, all, find, free, keyOf, load, onLibrary, refresh, weighDemo, type Entry } from "./library.ts";
import { listenToMachine, showMachine } from "./machine.ts";
import { Row } from "./row.ts";
import { folderOf, sourceOf } from "./sources.ts";
import { unweighed } from "./words.ts";

const sheet = byId<HTMLDialogElement>("models");
const rows = new Map<string, Row>();
let frame = 0;

export function openModels(): void {
  if (sheet.open) return;
  byId("sheet-notice").hidden = true;
  sheet.showModal();
  showMachine().catch(problem);
  Promise.all([refresh(), weighDemo()]).then(showStorage).catch(problem);
  show();
}

/** Loads a model that someone asked for; shows its size before, where that is not known yet. */
export async function loadAsked(entry: Entry): Promise<void> {
  if (!unweighed(entry)) return void (await load(entry).catch(problem));
  openModels();
  await offer(entry.source);
}

/** One row for each model; rows stay where they are, so that a button is not lost under a finger. */
function show(): void {
  frame = 0;
  if (!sheet.open) return;
  const entries = all();
  const list = byId("kept");
  for (const [key, row] of rows) {
    if (entries.some((entry) => entry.key === key)) continue;
    row.item.remove();
    rows.delete(key);
  }
  entries.forEach((entry, at) => {
    let row = rows.get(entry.key);
    if (!row) rows.set(entry.key, (row = new Row(loadAsked, putOn)));
    row.show(entry);
    if (list.children[at] !== row.item) list.insertBefore(row.item, list.children[at] ?? null);
  });
}

function putOn(base: Entry, source: ModelSource): void {
  load(addAdapter(base, source)).catch(problem);
}

/** Reads a folder; what was read from another one of its name is put away. */
async function takeFolder(source: ModelSource): Promise<void> {
  try {
    const known = find(keyOf(source));
    if (known?.model) await free(known);
    await load(add(source));
  } catch (error) {
    problem(error);
  }
}

async function showStorage(): Promise<void> {
  const { usage, quota } = (await navigator.storage?.estimate?.()) ?? {};
  const words = usage === undefined || quota === undefined ? "" : `This page keeps ${size(usage)}; the browser lets it keep ${size(quota)}.`;
  say(byId("storage"), words);
}

/** Says how large a model is, and offers to load it. */
export async function offer(source: ModelSource): Promise<void> {
  const place = byId("offer");
  place.hidden = false;
  place.replaceChildren(make("p", { role: "status" }, "Looking how large it is…"));
  try {
    const { bytes, cachedBytes } = await modelSize(source);
    const entry = add(source, { bytes, here: cachedBytes });
    const go = make("button", { type: "button", class: "main" }, cachedBytes > 0 && cachedBytes < bytes ? `Load the other ${size(bytes - cachedBytes)}` : `Load ${size(bytes)}`);
    const not = make("button", { type: "button" }, "Not now");
    const close = () => {
      place.hidden = true;
      place.replaceChildren();
      byId<HTMLInputElement>("source").value = "";
    };
    go.addEventListener("click", () => {
      close();
      void navigator.storage?.persist?.();
      load(entry).catch(problem);
    });
    not.addEventListener("click", () => {
      close();
      byId("source").focus();
    });
    place.replaceChildren(make("p", { role: "status" }, `${entry.name}: ${size(bytes)}${cachedBytes > 0 ? `, ${size(cachedBytes)} of them here` : ""}.`), make("p", { class: "buttons" }, go, not));
    go.focus();
  } catch (error) {
    place.hidden = true;
    problem(error);
  }
}

export function listenToModels(): void {
  byId("badge").addEventListener("click", openModels);
  byId("models-close").addEventListener("click", () => sheet.close());
  // A click beside the sheet closes it.
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet) sheet.close();
  });
  byId("adding").addEventListener("submit", (event) => {
    event.preventDefault();
    const source = sourceOf(byId<HTMLInputElement>("source").value);
    if (source) void offer(source);
    else notice("Write a model’s name as on Hugging Face, such as HuggingFaceTB/SmolLM2-135M, or an address that begins with https://.");
  });
  const files = byId<HTMLInputElement>("folder-files");
  byId("folder").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    const source = folderOf(files.files);
    if (source) void takeFolder(source);
    files.value = "";
  });
  onLibrary(() => {
    frame ||= requestAnimationFrame(show);
    const busy = all().find(({ loading }) => loading);
    const { done = 0, total = 0 } = busy?.loading?.progress ?? {};
    byId("badge").classList.toggle("busy", busy !== undefined);
    if (busy) byId("badge").dataset["share"] = total > 0 ? `${Math.floor((100 * done) / total)} %` : "…";
    else delete byId("badge").dataset["share"];
  });
  onLibrary(() => void (sheet.open && !all().some(({ loading }) => loading) && showStorage()));
  listenToMachine();
}
