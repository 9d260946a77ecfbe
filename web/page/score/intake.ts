// How texts come in: pasted, dropped, opened, or from the examples.

import { read, type Group, type Split } from "../../package/src/index.ts";
import { byId, make, say } from "../dom.ts";
import { count, size } from "../format.ts";
import { noNotice, notice, problem } from "../notice.ts";
import { isShown } from "../tabs.ts";
import type { Store } from "./store.ts";

/** More than this is held beside the text field: an editor of megabytes would halt the page. */
const EDITABLE = 50_000;

const dialog = byId<HTMLDialogElement>("dialog");
const pasted = byId<HTMLTextAreaElement>("pasted");
const split = byId<HTMLSelectElement>("split");

interface Example {
  name: string;
  groups: Group[];
}

export class Intake {
  #store: Store;
  #held: string | undefined;
  #counting = 0;

  constructor(store: Store) {
    this.#store = store;
    this.#listenToButtons();
    this.#listenToDialog();
    this.#listenToDrops();
  }

  /** Offers the examples and returns the first. */
  async examples(): Promise<Group[]> {
    const response = await fetch(new URL("examples.json", document.baseURI));
    const examples = (await response.json()) as Example[];
    const select = byId<HTMLSelectElement>("examples");
    select.append(...examples.map(({ name }, i) => make("option", { value: String(i) }, name)));
    select.addEventListener("change", () => {
      const example = examples[Number(select.value)];
      if (select.value !== "" && example) this.#take(example.groups);
      select.value = "";
    });
    return examples[0]?.groups ?? [];
  }

  #take(groups: Group[]): void {
    noNotice();
    this.#store.replace(groups);
  }

  #listenToButtons(): void {
    const files = byId<HTMLInputElement>("files");
    byId("open").addEventListener("click", () => files.click());
    files.addEventListener("change", () => {
      void this.#open([...(files.files ?? [])]);
      files.value = "";
    });
    byId("clear").addEventListener("click", () => {
      const before = this.#store.sets.map(({ texts, ...set }) => ({ ...set, responses: texts }));
      this.#store.clear();
      if (before.some((set) => set.responses.length > 0)) {
        const undo = make("button", { type: "button" }, "Undo");
        undo.addEventListener("click", () => this.#take(before));
        notice("Cleared.", undo);
      }
    });
  }

  #listenToDialog(): void {
    byId("paste").addEventListener("click", () => this.#ask());
    document.addEventListener("paste", (event) => {
      const target = event.target as HTMLElement;
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (!isShown("score") || document.querySelector("dialog[open]") || target.closest("input, textarea") || text === "") return;
      event.preventDefault();
      this.#ask();
      this.#hold(text);
    });
    pasted.addEventListener("paste", (event) => {
      const text = event.clipboardData?.getData("text/plain") ?? "";
      if (text.length > EDITABLE) {
        event.preventDefault();
        this.#hold(text);
      }
    });
    pasted.addEventListener("input", () => {
      this.#held = undefined;
      this.#count();
    });
    split.addEventListener("change", () => this.#count());
    dialog.addEventListener("close", () => {
      const text = this.#held ?? pasted.value;
      if (dialog.returnValue !== "cancel" && dialog.returnValue !== "" && text.trim() !== "") {
        void this.#read(text, "The pasted text", split.value as Split, dialog.returnValue === "add");
      }
      this.#held = undefined;
      pasted.value = "";
    });
  }

  #ask(): void {
    dialog.returnValue = "";
    say(byId("count"), "");
    dialog.showModal();
    pasted.focus();
  }

  /** Shows what fits and keeps the whole. */
  #hold(text: string): void {
    this.#held = text.length > EDITABLE ? text : undefined;
    pasted.value = text.length > EDITABLE ? `${text.slice(0, 2000)}\n… (${size(text.length)} pasted; all of it is read)` : text;
    this.#count();
  }

  #count(): void {
    clearTimeout(this.#counting);
    this.#counting = setTimeout(async () => {
      const text = this.#held ?? pasted.value;
      if (text.trim() === "") return say(byId("count"), "");
      try {
        const { groups, as } = await read(text, { name: "The pasted text", split: split.value as Split });
        say(byId("count"), `${described(groups)}, ${as}`);
      } catch (error) {
        say(byId("count"), error instanceof Error ? error.message : "");
      }
    }, 200);
  }

  #listenToDrops(): void {
    const drop = byId("drop");
    const carries = (event: DragEvent) => event.dataTransfer?.types.some((type) => type === "Files" || type === "text/plain");
    const within = (event: DragEvent) => (event.target as Element | null)?.closest?.("input, textarea");
    document.addEventListener("dragover", (event) => {
      if (!isShown("score") || document.querySelector("dialog[open]") || !carries(event) || (within(event) && !event.dataTransfer?.types.includes("Files"))) return;
      event.preventDefault();
      drop.hidden = false;
    });
    document.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) drop.hidden = true;
    });
    document.addEventListener("drop", (event) => {
      if (drop.hidden) return;
      event.preventDefault();
      drop.hidden = true;
      const files = [...(event.dataTransfer?.files ?? [])];
      const text = event.dataTransfer?.getData("text/plain") ?? "";
      if (files.length > 0) void this.#open(files);
      else if (text !== "") void this.#read(text, "The dropped text", "auto", false);
    });
  }

  /** One file is read as a set or as several; of many plain texts each is one response. */
  async #open(files: File[]): Promise<void> {
    const [first] = files;
    if (!first) return;
    if (files.length === 1) return this.#read(first, first.name, "auto", false);
    try {
      const groups: Group[] = [];
      const texts: Group = { prompt: "", responses: [] };
      for (const file of files) {
        const { groups: found, splittable } = await read(file, { name: file.name, split: "none" });
        if (splittable) found.forEach((group) => texts.responses.push(...group.responses));
        else groups.push(...found);
      }
      const all = texts.responses.length > 0 ? [texts, ...groups] : groups;
      this.#take(all);
      notice(`${described(all)} from ${files.length} files, one text each.`);
    } catch (error) {
      problem(error);
    }
  }

  async #read(source: File | string, name: string, how: Split, add: boolean): Promise<void> {
    try {
      const { groups, as, splittable } = await read(source, { name, split: how });
      if (add) this.#store.extend(groups);
      else this.#take(groups);
      const words = `${described(groups)} from ${name === "The pasted text" ? "what was pasted" : name}, ${as}.`;
      if (!splittable || add) return notice(words);
      const again = make("select", { "aria-label": "Split it elsewhere" }, make("option", { value: "" }, "Split elsewhere…"));
      again.append(...[...split.options].filter((option) => option.value !== "auto").map((option) => option.cloneNode(true)));
      again.addEventListener("change", () => void this.#read(source, name, again.value as Split, false));
      notice(words, again);
    } catch (error) {
      problem(error);
    }
  }
}

function described(groups: Group[]): string {
  const texts = groups.reduce((sum, group) => sum + group.responses.length, 0);
  return groups.length === 1 ? count(texts, "text") : `${count(texts, "text")} to ${count(groups.length, "prompt")}`;
}
