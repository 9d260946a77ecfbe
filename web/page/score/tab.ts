// The tab that scores: a store of texts, what is measured of them, and the views that show it.

import { stop, type Kind, type ScoreOptions } from "../../package/src/index.ts";
import { keep } from "../address.ts";
import { byId, make, say } from "../dom.ts";
import { gist } from "../format.ts";
import { notice, problemOf } from "../notice.ts";
import { onTab } from "../tabs.ts";
import { Cards } from "./cards.ts";
import { listenToExports } from "./exporting.ts";
import { showFinding } from "./finding.ts";
import { listenToHeat, redraw, showHeat } from "./heat.ts";
import { Intake } from "./intake.ts";
import { showMap } from "./map.ts";
import { showMeasures } from "./measures.ts";
import { listenToPairs, openPair, showPairs } from "./pairs.ts";
import { listenToReaders, readers } from "./readers.ts";
import { filled, Scoring, type Measured } from "./scoring.ts";
import { Store } from "./store.ts";

/** Typing is measured when it pauses. */
const PAUSE = 300;

const store = new Store();
const cards = new Cards(store);
const intake = new Intake(store);
const scoring = new Scoring({
  onMeasured(found) {
    measured = found;
    void show(found);
  },
  onFailed(error) {
    const again = make("button", { type: "button" }, "Try again");
    again.addEventListener("click", () => measure(0));
    notice(problemOf(error), again);
  },
  onProgress(progress) {
    byId("working").hidden = !progress;
    const bar = byId<HTMLProgressElement>("bar");
    if (progress && progress.stage === "embedding") {
      bar.max = progress.total;
      bar.value = progress.done;
      say(byId("stage"), `Reading text ${progress.done + 1} of ${progress.total}`);
    } else {
      bar.removeAttribute("value");
      say(byId("stage"), "Measuring");
    }
  },
});
let measured: Measured | undefined;

/** The views one after the other, so that none holds the page up for long. */
async function show(found: Measured): Promise<void> {
  const views = [
    () => showFinding(found, filled(store.current.texts).length),
    () => cards.measured(found),
    () => showHeat(found.score, kind()),
    () => showMap(found.score, found.texts, kind()),
    () => showPairs(found.score, found.texts),
    () => showMeasures(found.score.measures),
    () => (byId("panel-score").dataset["measured"] = String(found.texts.length)),
  ];
  for (const view of views) {
    if (measured !== found) return;
    view();
    await new Promise((resolve) => setTimeout(resolve));
  }
}

const kind = (): Kind => (document.querySelector<HTMLInputElement>("input[name=kind]:checked")?.value === "style" ? "style" : "semantic");

/** What the fields ask for; models that are asked for are loaded first. */
async function options(): Promise<ScoreOptions> {
  const number = (id: string) => {
    const { value, valueAsNumber } = byId<HTMLInputElement>(id);
    return value === "" || Number.isNaN(valueAsNumber) ? undefined : valueAsNumber;
  };
  const [floor, shrinkage] = [number("floor"), number("shrinkage")];
  return {
    kinds: byId<HTMLSelectElement>("kinds").value as NonNullable<ScoreOptions["kinds"]>,
    rank: byId<HTMLInputElement>("rank").checked,
    ...(floor !== undefined && { floor }),
    ...(shrinkage !== undefined && { shrinkage }),
    ...(await readers()),
  };
}

function measure(delay: number): void {
  scoring.request(store.current.texts, options, delay);
}

function showFigures(): void {
  byId("figures").dataset["kind"] = kind();
  showHeat(measured?.score, kind());
  showMap(measured?.score, measured?.texts ?? [], kind());
}

function showPicker(): void {
  byId("picker").hidden = store.sets.length < 2;
  const select = byId<HTMLSelectElement>("group");
  select.replaceChildren(
    ...store.sets.map(({ id, prompt, texts }, i) => make("option", { value: String(i) }, `${i + 1} of ${store.sets.length} · ${gist(prompt, 70) || id || "no prompt"} (${texts.length})`)),
  );
  select.value = String(store.at);
  byId<HTMLButtonElement>("previous").disabled = store.at === 0;
  byId<HTMLButtonElement>("next").disabled = store.at === store.sets.length - 1;
}

store.onChange((change) => {
  if (change === "set") cards.reset();
  if (change !== "text") {
    cards.show();
    showPicker();
    byId<HTMLTextAreaElement>("prompt").value = store.current.prompt;
  }
  measure(change === "text" ? PAUSE : 0);
});

byId("add").addEventListener("click", () => cards.edit(store.add()));
byId("stop").addEventListener("click", () => {
  stop();
  notice("Stopped. What you change next is measured again.");
});
byId("prompt").addEventListener("input", (event) => store.setPrompt((event.target as HTMLTextAreaElement).value));
byId("group").addEventListener("change", (event) => store.show(Number((event.target as HTMLSelectElement).value)));
byId("previous").addEventListener("click", () => store.show(store.at - 1));
byId("next").addEventListener("click", () => store.show(store.at + 1));
for (const radio of document.querySelectorAll("input[name=kind]")) radio.addEventListener("change", showFigures);
byId("settings").addEventListener("change", () => measure(0));
listenToHeat(openPair);
listenToPairs();
listenToReaders(() => measure(0));
listenToExports(store, options, kind);
// What is drawn while it is hidden has no size.
onTab((tab) => tab === "score" && redraw());

export { redraw };

/** Takes texts from elsewhere as the set that is shown. */
export function take(prompt: string, texts: string[], id: string): void {
  store.replace([{ id, prompt, responses: texts.map((text) => ({ text })) }]);
}

export async function startScore(): Promise<void> {
  const input = (id: string) => byId<HTMLInputElement>(id);
  const select = (id: string) => byId<HTMLSelectElement>(id);
  keep("score", {
    semantic: select("semantic"),
    style: select("style"),
    kinds: select("kinds"),
    floor: input("floor"),
    shrinkage: input("shrinkage"),
    rank: input("rank"),
    order: select("order"),
    below: input("threshold"),
  });
  const example = await intake.examples();
  if (!store.restore()) store.replace(example);
}
