// A model in the sheet: its state, and what can be done with it.

import type { ModelSource } from "../../package/src/index.ts";
import { make, say } from "../dom.ts";
import { size } from "../format.ts";
import { notice, problem } from "../notice.ts";
import { cancel, free, remove, type Entry } from "./library.ts";
import { folderOf, sourceOf } from "./sources.ts";
import { missing, nature, state } from "./words.ts";

export class Row {
  readonly item = make("li", { class: "model-row" });
  #entry: Entry | undefined;
  #name = make("b", {});
  #nature = make("span", { class: "hint" });
  #state = make("span", { class: "state" });
  #bar = make("progress", { hidden: "" });
  #act = make("button", { type: "button" });
  #adapt = make("button", { type: "button" }, "Adapter…");
  #delete = make("button", { type: "button" }, "Delete");
  #form: HTMLFormElement;

  /** `ask` loads a row's model, `putOn` an adapter onto it. */
  constructor(ask: (entry: Entry) => Promise<void>, putOn: (base: Entry, adapter: ModelSource) => void) {
    this.#form = this.#adapterForm(putOn);
    this.item.append(
      make("div", { class: "model-words" }, this.#name, this.#nature, this.#state, this.#bar),
      make("div", { class: "model-acts" }, this.#act, this.#adapt, this.#delete),
      this.#form,
    );
    this.#act.addEventListener("click", () => {
      const entry = this.#entry;
      if (!entry) return;
      if (entry.loading) cancel(entry);
      else if (entry.model) free(entry).catch(problem);
      else void ask(entry);
    });
    this.#adapt.addEventListener("click", () => {
      this.#form.hidden = !this.#form.hidden;
      this.#form.querySelector("input")?.focus();
    });
    this.#delete.addEventListener("click", () => this.#remove());
  }

  show(entry: Entry): void {
    this.#entry = entry;
    const { loading, model } = entry;
    say(this.#name, entry.name);
    say(this.#nature, nature(entry));
    say(this.#state, state(entry));
    say(this.#act, loading ? "Cancel" : model ? "Put away" : entry.here > 0 && missing(entry) > 0 ? "Go on" : "Load");
    for (const button of [this.#act, this.#adapt, this.#delete]) button.setAttribute("aria-label", `${button.textContent}: ${entry.name}`);
    this.#adapt.hidden = model?.kind !== "causal" || model.adapter !== null;
    this.#delete.hidden = entry.cached === undefined;
    this.#bar.hidden = !loading;
    this.#bar.setAttribute("aria-label", `Loading ${entry.name}`);
    if (loading && loading.progress.total > 0) {
      this.#bar.max = loading.progress.total;
      this.#bar.value = loading.progress.done;
    } else {
      this.#bar.removeAttribute("value");
    }
  }

  #remove(): void {
    const entry = this.#entry;
    if (!entry) return;
    const { name, here } = entry;
    remove(entry)
      .then(() => notice(`${name} is deleted; ${size(here)} are free again.`))
      .catch(problem);
  }

  #adapterForm(putOn: (base: Entry, adapter: ModelSource) => void): HTMLFormElement {
    const words = make("input", { type: "text", "aria-label": "Adapter: Hugging Face name or address", placeholder: "org/adapter, or an address", spellcheck: "false", autocomplete: "off" });
    const files = make("input", { type: "file", webkitdirectory: "", multiple: "", hidden: "" });
    const folder = make("button", { type: "button" }, "A folder…");
    const form = make("form", { class: "adding", hidden: "" }, words, make("button", { type: "submit" }, "Put it on"), folder, files);
    const take = (source: ModelSource | undefined) => {
      if (!this.#entry || !source) return;
      form.hidden = true;
      putOn(this.#entry, source);
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const source = sourceOf(words.value);
      if (source) take(source);
      else notice("An adapter is named as on Hugging Face, org/adapter, or by an address that begins with https://.");
    });
    folder.addEventListener("click", () => files.click());
    files.addEventListener("change", () => {
      take(folderOf(files.files));
      files.value = "";
    });
    return form;
  }
}
