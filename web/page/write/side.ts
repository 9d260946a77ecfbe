// One of the two models: which it is, what it has written, and how fast.

import type { Piece } from "../../package/src/index.ts";
import { refill, set } from "../address.ts";
import { byId, make, say } from "../dom.ts";
import { count, fixed, size } from "../format.ts";
import { able, cancel, find, onLibrary, type Entry } from "../models/library.ts";
import { loadAsked, openModels } from "../models/sheet.ts";
import { missing, state } from "../models/words.ts";
import type { Letter } from "./chart.ts";

/** The list's entry that is not a model. */
const OTHER = "+";

interface Sample {
  item: HTMLLIElement;
  words: HTMLElement;
  text: string;
  done: boolean;
}

export class Side {
  readonly letter: Letter;
  readonly select = make("select", { class: "model" });
  #status = make("span", { class: "status" });
  #load = make("button", { type: "button" });
  #bar = make("progress", { hidden: "" });
  #speed = make("p", { class: "speed" });
  #list = make("ol", { class: "samples" });
  #pane: HTMLElement;
  #send = make("button", { type: "button", disabled: "" }, "Send to Score");
  #samples: Sample[] = [];
  #waiting = new Set<Sample>();
  #frame = 0;
  /** Whether the newest words are kept in view: until the reader scrolls away from them. */
  #following = true;
  #chosen = "";

  constructor(letter: Letter, preferred: string, send: (side: Side) => void) {
    this.letter = letter;
    const name = letter === "a" ? "First model" : "Second model";
    this.select.id = `model-${letter}`;
    this.#pane = make("div", { class: "pane", tabindex: "0", role: "region", "aria-label": `Texts of the ${name.toLowerCase()}` }, this.#list);
    this.#chosen = preferred;
    byId("panel-write")
      .querySelector(`.writer[data-side=${letter}]`)
      ?.append(
        make("div", { class: "writer-head" }, make("label", {}, make("span", { class: "unseen" }, name), make("span", { class: "key", "aria-hidden": "true" }), this.select), this.#load),
        make("p", { class: "state" }, this.#status, this.#bar),
        this.#pane,
        make("div", { class: "writer-foot" }, this.#speed, this.#send),
      );
    this.select.addEventListener("change", () => {
      if (this.select.value === OTHER) {
        this.select.value = this.#chosen;
        openModels();
        return;
      }
      this.#chosen = this.select.value;
      this.show();
    });
    this.#load.addEventListener("click", () => {
      const { entry } = this;
      if (!entry) return;
      if (entry.loading) cancel(entry);
      else void loadAsked(entry);
    });
    this.#send.addEventListener("click", () => send(this));
    this.#pane.addEventListener("scroll", () => {
      this.#following = this.#pane.scrollHeight - this.#pane.scrollTop - this.#pane.clientHeight < 60;
    });
    onLibrary(() => this.show());
    this.show();
  }

  get entry(): Entry | undefined {
    return find(this.#chosen);
  }

  /** What a line of a drawing is called. */
  get name(): string {
    const name = this.entry?.name ?? "";
    return (name.split(/[,@]/)[0] ?? name).split("/").at(-1) ?? name;
  }

  /** The texts that are whole. */
  get texts(): string[] {
    return this.#samples.filter(({ done, text }) => done && text.trim() !== "").map(({ text }) => text);
  }

  get written(): number {
    return this.#samples.filter(({ done }) => done).length;
  }

  /** The list of models and the state of the one that is chosen. */
  show(): void {
    const models = able("causal");
    const wanted = [...models.map(({ key, name }) => [key, name] as const), [OTHER, "Another model…"] as const];
    const had = [...this.select.options].map(({ value }) => value);
    if (had.join("\n") !== wanted.map(([key]) => key).join("\n")) {
      this.select.replaceChildren(...wanted.map(([value, name]) => option(value, name, value === this.#first(models))));
      const gone = !models.some(({ key }) => key === this.#chosen);
      if (gone) this.#chosen = this.#first(models);
      this.select.value = this.#chosen;
      // The address forgets a model that was deleted.
      if (gone) set(this.select, this.#chosen);
      refill(this.select);
    }
    const { entry } = this;
    if (!entry) return;
    const { loading } = entry;
    say(this.#status, state(entry));
    this.#load.hidden = Boolean(entry.model);
    say(this.#load, loading ? "Cancel" : missing(entry) > 0 ? `${entry.here > 0 ? "Go on" : "Load"}, ${size(missing(entry))}` : "Load");
    this.#bar.hidden = !loading;
    if (loading && loading.progress.total > 0) {
      this.#bar.max = loading.progress.total;
      this.#bar.value = loading.progress.done;
    } else {
      this.#bar.removeAttribute("value");
    }
    this.#bar.setAttribute("aria-label", `Loading ${entry.name}`);
  }

  #first(models: Entry[]): string {
    const own = this.letter === "a" ? "demo:dpo" : "demo:ddpo";
    return models.some(({ key }) => key === own) ? own : (models[0]?.key ?? "");
  }

  clear(): void {
    cancelAnimationFrame(this.#frame);
    this.#waiting.clear();
    this.#samples = [];
    this.#list.replaceChildren();
    this.#speed.textContent = "";
    this.#send.disabled = true;
    this.#pane.scrollTop = 0;
    this.#following = true;
  }

  /** Takes a piece of the text with this number. */
  take(number: number, piece: Piece): void {
    while (this.#samples.length <= number) this.#samples.push(this.#add());
    const sample = this.#samples[number] as Sample;
    sample.text += piece.text;
    if (piece.done) {
      sample.done = true;
      sample.item.classList.remove("live");
      if (piece.finishReason === "length") sample.item.append(make("span", { class: "chip" }, "cut: the most tokens were reached"));
      if (sample.text.trim() === "") sample.item.append(make("span", { class: "chip" }, "empty: the model ended at once"));
      this.#send.disabled = this.texts.length === 0;
    }
    this.#waiting.add(sample);
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  /** Ends what was being written: it was stopped. */
  halt(): void {
    for (const sample of this.#samples) {
      if (sample.done) continue;
      sample.item.classList.remove("live");
      sample.item.classList.add("halted");
    }
  }

  speed(perSecond: number | undefined, first: number | undefined, of: number): void {
    const facts = [
      `${count(this.written, "text")} of ${of}`,
      perSecond !== undefined && `${perSecond < 10 ? fixed(perSecond, 1) : Math.round(perSecond)} tokens a second`,
      first !== undefined && `first token after ${first < 0.995 ? `${Math.round(first * 1000)} ms` : `${fixed(first, 1)} s`}`,
    ];
    say(this.#speed, facts.filter(Boolean).join(" · "));
  }

  #add(): Sample {
    const words = make("p", {});
    const item = make("li", { class: "live" }, words);
    this.#list.append(item);
    return { item, words, text: "", done: false };
  }

  /** Writes what has come in since the last frame, and follows it unless the reader is elsewhere. */
  #paint(): void {
    this.#frame = 0;
    for (const sample of this.#waiting) say(sample.words, sample.text.trim());
    this.#waiting.clear();
    if (this.#following) this.#pane.scrollTop = this.#pane.scrollHeight;
  }
}

function option(value: string, name: string, first: boolean): HTMLOptionElement {
  const made = make("option", { value }, name);
  made.defaultSelected = first;
  return made;
}
