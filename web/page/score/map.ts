// The set as a flat map.

import type { Kind, Score } from "../../package/src/index.ts";
import { byId, draw, say } from "../dom.ts";
import { gist, percent } from "../format.ts";
import { light, onLight } from "./spotlight.ts";
import type { Text } from "./store.ts";

const SIDE = 300;
const EDGE = 24;
/** Up to this many points carry their number. */
const NUMBERED = 80;

const place = byId("map");
const readout = byId("map-readout");
let dots: SVGGElement[] = [];

export function showMap(score: Score | undefined, texts: Text[], kind: Kind): void {
  const { points, shares } = score?.plane[kind] ?? { points: [], shares: [0, 0] };
  const reach = Math.max(1e-9, ...points.flat().map(Math.abs));
  const at = (value: number) => SIDE / 2 + (value / reach) * (SIDE / 2 - EDGE);
  const words = points.length > 1 ? `${points.length} texts on a map of their ${kind} distances` : "an empty map";
  const svg = draw("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img", "aria-label": words });
  svg.append(draw("path", { class: "axis", d: `M${EDGE} ${SIDE / 2}H${SIDE - EDGE}M${SIDE / 2} ${EDGE}V${SIDE - EDGE}` }));
  const taken: Place[] = points.map(([x, y]) => ({ x: at(x), y: at(-y) + 4 }));
  dots = points.map(([x, y], i) => {
    const [cx, cy] = [at(x).toFixed(1), at(-y).toFixed(1)];
    const dot = draw("g", { class: "dot" }, draw("circle", { cx, cy, r: points.length > NUMBERED ? "3" : "4.5" }));
    if (points.length <= NUMBERED) {
      const { x: left, y: base } = free(at(x), at(-y), taken);
      dot.append(draw("text", { x: left.toFixed(1), y: base.toFixed(1) }, String(i + 1)), draw("title", {}, gist(texts[i]?.text ?? "")));
    }
    dot.addEventListener("pointerenter", () => light([i]));
    dot.addEventListener("pointerleave", () => light([]));
    return dot;
  });
  svg.append(...dots);
  place.replaceChildren(svg);
  const spread = shares[0] + shares[1];
  say(
    readout,
    points.length < 2
      ? ""
      : spread > 0
        ? `The two directions in which the texts differ most show ${percent(shares[0])} and ${percent(shares[1])} of the spread.`
        : "All texts are the same here.",
  );
}

interface Place {
  x: number;
  y: number;
}

/** A place for a number beside its point, away from points and other numbers where it can be. */
function free(x: number, y: number, taken: Place[]): Place {
  const around = [11, 20].flatMap((far) => [-90, 0, 180, 90, -45, -135, 45, 135].map((angle) => ({ far, angle: (angle / 180) * Math.PI })));
  const places = around.map(({ far, angle }) => ({ x: x + far * Math.cos(angle), y: y + 4 + far * Math.sin(angle) }));
  const open = places.find((place) => taken.every((other) => Math.abs(other.x - place.x) > 9 || Math.abs(other.y - place.y) > 9));
  const chosen = open ?? (places[0] as Place);
  taken.push(chosen);
  return chosen;
}

onLight((indices) => {
  dots.forEach((dot, i) => dot.classList.toggle("marked", indices.includes(i)));
});
