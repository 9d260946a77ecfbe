// The tab in which two models write: the prompt, the two sides, and what is measured of them.

import { score, type GenerateOptions, type Model } from "../../package/src/index.ts";
import { keep, set, wanted } from "../address.ts";
import { byId, make, say } from "../dom.ts";
import { count, size } from "../format.ts";
import { add, load, onLibrary, weighDemo } from "../models/library.ts";
import { loadAsked } from "../models/sheet.ts";
import { sourceOfKey } from "../models/sources.ts";
import { missing, unweighed } from "../models/words.ts";
import { noNotice, problem, stopped } from "../notice.ts";
import { onTab } from "../tabs.ts";
import { listenToCurves, showCurve } from "./chart.ts";
import { curve } from "./diversity.ts";
import { PROMPTS } from "./prompts.ts";
import { Side } from "./side.ts";
import { noVerdict, showVerdict, type Curves } from "./verdict.ts";
import { writeTexts } from "./writing.ts";

/** Takes texts over to the other tab. */
export type Send = (prompt: string, texts: string[], name: string) => void;

const field = (id: string) => byId<HTMLInputElement>(id);

export class WriteTab {
  #sides: [Side, Side];
  #curves: Curves = { semantic: [], style: [] };
  #running: AbortController | undefined;
  #measuring = false;
  #again = false;
  /** The prompt that the texts answer: the field may hold another by now. */
  #asked = "";

  constructor(send: Send) {
    const over = (side: Side) => send(this.#asked, side.texts, side.name);
    this.#sides = [new Side("a", "demo:dpo", over), new Side("b", "demo:ddpo", over)];
    this.#offerPrompts();
    const controls = ["samples", "temperature", "top-p", "top-k", "min-p", "repetition-penalty", "max-new-tokens", "seed"];
    keep("write", {
      prompt: byId<HTMLTextAreaElement>("ask"),
      a: this.#sides[0].select,
      b: this.#sides[1].select,
      ...Object.fromEntries(controls.map((id) => [id.replaceAll("-", "_"), field(id)])),
    });
    for (const { select } of this.#sides) {
      const source = sourceOfKey(wanted(select) ?? "");
      if (source) add(source);
    }
    byId("asking").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#write();
    });
    byId("ask").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      byId<HTMLFormElement>("asking").requestSubmit();
    });
    byId("halt").addEventListener("click", () => this.#running?.abort(new DOMException("The writing was stopped.", "AbortError")));
    byId("sampling").addEventListener("change", () => this.#saySampling());
    this.#saySampling();
    onLibrary(() => this.#sayCost());
    for (const side of this.#sides) side.select.addEventListener("change", () => this.#sayCost());
    listenToCurves();
    this.#draw();
    onTab((tab) => {
      if (tab === "write") weighDemo().catch(problem);
    });
  }

  #offerPrompts(): void {
    const ask = byId<HTMLTextAreaElement>("ask");
    const [first = ""] = PROMPTS;
    ask.defaultValue = first;
    ask.value = first;
    const select = byId<HTMLSelectElement>("prompts");
    select.append(...PROMPTS.map((prompt) => make("option", {}, prompt)));
    select.addEventListener("change", () => {
      if (select.value !== "") set(ask, select.value);
      select.value = "";
    });
    byId("another").addEventListener("click", () => {
      const at = PROMPTS.indexOf(ask.value);
      set(ask, PROMPTS[(at + 1) % PROMPTS.length] ?? first);
    });
  }

  #saySampling(): void {
    const words = [
      `temperature ${field("temperature").value}`,
      field("top-p").valueAsNumber < 1 && `top-p ${field("top-p").value}`,
      field("top-k").valueAsNumber > 0 && `top-k ${field("top-k").value}`,
      field("min-p").valueAsNumber > 0 && `min-p ${field("min-p").value}`,
      field("repetition-penalty").valueAsNumber !== 1 && `penalty ${field("repetition-penalty").value}`,
      `at most ${field("max-new-tokens").value} tokens`,
      `seed ${field("seed").value}`,
    ];
    say(byId("sampling-words"), words.filter(Boolean).join(", "));
  }

  /** The button says what it will cost before it is pressed. */
  #sayCost(): void {
    const entries = new Set(this.#sides.flatMap(({ entry }) => entry ?? []));
    const bytes = [...entries].reduce((sum, entry) => sum + missing(entry), 0);
    const unknown = [...entries].some((entry) => !entry.model && entry.bytes === undefined && !("files" in entry.source));
    say(byId("go"), unknown ? "Load and write" : bytes > 0 ? `Load ${size(bytes)} and write` : "Write");
  }

  #options(signal: AbortSignal): GenerateOptions {
    return {
      maxNewTokens: field("max-new-tokens").valueAsNumber,
      temperature: field("temperature").valueAsNumber,
      topP: field("top-p").valueAsNumber,
      topK: field("top-k").valueAsNumber,
      minP: field("min-p").valueAsNumber,
      repetitionPenalty: field("repetition-penalty").valueAsNumber,
      seed: field("seed").valueAsNumber,
      signal,
    };
  }

  async #write(): Promise<void> {
    const unknown = this.#sides.map(({ entry }) => entry).find((entry) => entry && unweighed(entry));
    if (unknown) return loadAsked(unknown);
    const prompt = byId<HTMLTextAreaElement>("ask").value;
    const samples = field("samples").valueAsNumber;
    this.#running?.abort(new DOMException("Something else is written.", "AbortError"));
    const running = (this.#running = new AbortController());
    noNotice();
    this.#asked = prompt;
    for (const side of this.#sides) side.clear();
    this.#curves = { semantic: [], style: [] };
    noVerdict();
    this.#draw();
    this.#busy(true);
    bringIntoView();
    say(byId("course"), "Loading the models");
    try {
      const options = this.#options(running.signal);
      const models = await this.#load(running.signal);
      say(byId("course"), "Writing");
      const results = await Promise.allSettled(this.#sides.map((side, i) => this.#side(side, models[i] as Model, prompt, samples, options)));
      const failed = results.find((result) => result.status === "rejected");
      if (failed) throw failed.reason;
      if (this.#running === running) say(byId("course"), `Done: ${this.#sides.map((side) => `${count(side.written, "text")} of ${side.name}`).join(", ")}.`);
    } catch (error) {
      if (this.#running !== running) return;
      running.abort(error);
      say(byId("course"), stopped(error) ? "Stopped." : "");
      problem(error);
    } finally {
      if (this.#running === running) {
        this.#running = undefined;
        for (const side of this.#sides) side.halt();
        this.#busy(false);
      }
    }
  }

  /** Both models; a stop ends the wait, and what was fetched is kept. */
  async #load(signal: AbortSignal): Promise<Model[]> {
    const models: Model[] = [];
    for (const { entry } of this.#sides) {
      if (!entry) continue;
      const stop = () => entry.loading?.cancel.abort(signal.reason);
      signal.addEventListener("abort", stop);
      try {
        models.push(await load(entry));
      } finally {
        signal.removeEventListener("abort", stop);
      }
      signal.throwIfAborted();
    }
    return models;
  }

  #side(side: Side, model: Model, prompt: string, samples: number, options: GenerateOptions): Promise<void> {
    side.speed(undefined, undefined, samples);
    return writeTexts(model, prompt, samples, options, {
      onPiece: (number, piece) => side.take(number, piece),
      onSpeed: (perSecond, first) => side.speed(perSecond, first, samples),
      onText: () => void this.#measure(),
    });
  }

  #busy(busy: boolean): void {
    byId("halt").hidden = !busy;
    byId<HTMLButtonElement>("go").disabled = busy;
    if (!busy && document.activeElement === document.body) byId("go").focus({ preventScroll: true });
  }

  /** Measures both sides; what ends meanwhile is measured afterwards. */
  async #measure(): Promise<void> {
    this.#again = true;
    if (this.#measuring) return;
    this.#measuring = true;
    try {
      while (this.#again) {
        this.#again = false;
        await this.#measureOnce();
      }
    } catch (error) {
      problem(error);
    } finally {
      this.#measuring = false;
    }
  }

  async #measureOnce(): Promise<void> {
    const run = this.#running;
    const curves: Curves = { semantic: [], style: [] };
    for (const side of this.#sides) {
      const { texts, letter, name } = side;
      const distances = texts.length > 1 ? (await score(texts)).distances : undefined;
      for (const kind of ["semantic", "style"] as const) {
        curves[kind].push({ letter, name, points: distances ? curve(distances[kind], texts.length) : [] });
      }
    }
    if (this.#running !== run && this.#running !== undefined) return;
    this.#curves = curves;
    this.#draw();
    showVerdict(curves);
  }

  #draw(): void {
    const most = Math.max(2, field("samples").valueAsNumber || 2);
    for (const kind of ["style", "semantic"] as const) showCurve(kind, this.#curves[kind], most);
  }
}

/** Scrolls so far that texts and curves are seen together. */
function bringIntoView(): void {
  if (byId("spread").getBoundingClientRect().bottom <= innerHeight) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId("course").scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
}
