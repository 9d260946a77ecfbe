// The texts, each with its deviations and weight.

import type { Deviation, Kind } from "../../package/src/index.ts";
import { byId, make, say } from "../dom.ts";
import { fixed, size } from "../format.ts";
import type { Measured } from "./scoring.ts";
import { light, onLight } from "./spotlight.ts";
import type { Store, Text } from "./store.ts";

/** Longer texts are shown in part: an editor of megabytes would halt the page. */
const EDITABLE = 20_000;
const EXCERPT = 600;
/** Cards made in one go, and before the button for more. */
const AT_ONCE = 4;
const AT_FIRST = 60;

const list = byId("cards");
const more = byId<HTMLButtonElement>("more");

interface Card {
  item: HTMLLIElement;
  index: HTMLElement;
  facts: HTMLElement;
  bars: Record<Kind, { value: HTMLElement; fill: HTMLElement }>;
  weight: HTMLElement;
}

export class Cards {
  #store: Store;
  #cards = new Map<number, Card>();
  #measured: Measured | undefined;
  #shown = AT_FIRST;
  #frame = 0;

  constructor(store: Store) {
    this.#store = store;
    more.addEventListener("click", () => {
      this.#shown += AT_FIRST;
      this.show();
    });
    byId("order").addEventListener("change", () => this.show());
    onLight((indices) => {
      const lit = new Set(indices.map((i) => this.#measured?.texts[i]?.id));
      for (const [id, { item }] of this.#cards) item.classList.toggle("marked", lit.has(id));
    });
  }

  /** Another set: from its first texts on. */
  reset(): void {
    this.#shown = AT_FIRST;
    this.#measured = undefined;
    this.#cards.clear();
    list.replaceChildren();
  }

  /** Brings a text's editor into view, whatever is shown so far. */
  edit(text: Text): void {
    this.#shown = Math.max(this.#shown, this.#ordered().indexOf(text) + 1);
    cancelAnimationFrame(this.#frame);
    this.#fill(this.#ordered().slice(0, this.#shown), 0, Infinity);
    this.#cards.get(text.id)?.item.querySelector("textarea")?.focus();
  }

  /** Shows the set's texts, some at a time so that the page never halts. */
  show(): void {
    cancelAnimationFrame(this.#frame);
    const texts = this.#ordered();
    const shown = texts.slice(0, this.#shown);
    const wanted = new Set(shown.map((text) => text.id));
    for (const [id, card] of this.#cards) {
      if (!wanted.has(id)) {
        card.item.remove();
        this.#cards.delete(id);
      }
    }
    const rest = texts.length - shown.length;
    more.hidden = rest === 0;
    more.textContent = `Show ${Math.min(rest, AT_FIRST)} more of ${rest}`;
    this.#fill(shown, 0);
  }

  #fill(texts: Text[], from: number, atOnce = AT_ONCE): void {
    let made = 0;
    let at = from;
    for (; at < texts.length && made < atOnce; at++) {
      const text = texts[at] as Text;
      let card = this.#cards.get(text.id);
      if (!card) {
        made++;
        card = this.#make(text);
        this.#cards.set(text.id, card);
      }
      if (list.children[at] !== card.item) {
        list.insertBefore(card.item, list.children[at] ?? null);
      }
    }
    this.#number();
    if (at < texts.length) {
      this.#frame = requestAnimationFrame(() => this.#fill(texts, at));
    }
  }

  #ordered(): Text[] {
    const texts = this.#store.current.texts;
    const order = byId<HTMLSelectElement>("order").value;
    if (order === "given" || !this.#measured) return texts;
    const weights = new Map(this.#measured.texts.map((text, i) => [text.id, this.#measured?.score.deviations[i]?.weight ?? 0]));
    const sign = order === "rarest" ? -1 : 1;
    const weight = (text: Text) => weights.get(text.id) ?? Infinity;
    return [...texts].sort((a, b) => sign * (weight(a) - weight(b)) || a.id - b.id);
  }

  /** Writes what was measured into the cards. */
  measured(measured: Measured): void {
    this.#measured = measured;
    if (byId<HTMLSelectElement>("order").value === "given") this.#number();
    else this.show();
  }

  #number(): void {
    const measured = this.#measured;
    const places = new Map(measured?.texts.map((text, i) => [text.id, i]));
    const most = (kind: Kind) => Math.max(1, ...(measured?.score.deviations.map((d) => d[kind] ?? 0) ?? []));
    const scale = { semantic: most("semantic"), style: most("style") };
    for (const [id, card] of this.#cards) {
      const place = places.get(id);
      const deviation = place === undefined ? undefined : measured?.score.deviations[place];
      say(card.index, place === undefined ? "–" : String(place + 1));
      write(card, deviation, scale);
    }
  }

  #make(text: Text): Card {
    const index = make("span", { class: "index" });
    const bar = (kind: Kind, name: string) => {
      const value = make("b", {});
      const fill = make("span", { class: "fill" });
      const fact = make("span", { class: "fact", "data-kind": kind }, `${name} `, value, make("span", { class: "track" }, fill));
      return { fact, value, fill };
    };
    const semantic = bar("semantic", "semantic");
    const style = bar("style", "style");
    const weight = make("b", {});
    const remove = make("button", { type: "button", class: "remove", "aria-label": "Remove this text", title: "Remove" }, "×");
    remove.addEventListener("click", () => {
      const next = item.nextElementSibling ?? item.previousElementSibling;
      this.#store.remove(text);
      (next?.querySelector<HTMLElement>("textarea, .remove") ?? byId("add")).focus();
    });
    const facts = make("div", { class: "card-facts" }, semantic.fact, style.fact, make("span", { class: "weight" }, "weight ", weight), remove);
    const item = make("li", { class: "card" }, index, this.#editor(text), facts);
    item.addEventListener("pointerenter", () => this.#light(text));
    item.addEventListener("pointerleave", () => light([]));
    item.addEventListener("focusin", () => this.#light(text));
    return { item, index, facts, bars: { semantic, style }, weight };
  }

  #light(text: Text): void {
    const place = this.#measured?.texts.indexOf(text) ?? -1;
    light(place < 0 ? [] : [place]);
  }

  #editor(text: Text): HTMLElement {
    if (text.text.length > EDITABLE) {
      return make(
        "div",
        {},
        make("span", { class: "chip" }, `${size(text.text.length)}, the beginning is shown, all of it is measured`),
        make("p", { class: "excerpt" }, `${text.text.slice(0, EXCERPT)}…`),
      );
    }
    const editor = make("textarea", { rows: "2", "aria-label": "Text", spellcheck: "false" });
    editor.value = text.text;
    editor.addEventListener("input", () => this.#store.edit(text, editor.value));
    editor.addEventListener("paste", (event) => {
      const pasted = event.clipboardData?.getData("text/plain") ?? "";
      if (pasted.length > EDITABLE) {
        event.preventDefault();
        this.#store.edit(text, text.text + pasted);
        editor.replaceWith(this.#editor(text));
      }
    });
    return editor;
  }
}

function write(card: Card, deviation: Deviation | undefined, scale: Record<Kind, number>): void {
  card.facts.classList.toggle("unmeasured", !deviation);
  for (const kind of ["semantic", "style"] as const) {
    const value = deviation?.[kind];
    say(card.bars[kind].value, value === undefined || value === null ? "–" : fixed(value));
    card.bars[kind].fill.style.setProperty("width", `${((value ?? 0) / scale[kind]) * 100}%`);
  }
  say(card.weight, deviation ? fixed(deviation.weight) : "–");
}
