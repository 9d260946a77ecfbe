// The state of a model in words, the same in every place that shows it.

import type { Progress } from "../../package/src/index.ts";
import { size } from "../format.ts";
import type { Entry } from "./library.ts";

/** Bytes that are still to be fetched: 0 of what is on this machine. */
export const missing = (entry: Entry) => (entry.model || "files" in entry.source ? 0 : Math.max(0, (entry.bytes ?? 0) - entry.here));

/** Whether it would be fetched from another host before anyone has seen its size. */
export const unweighed = ({ model, bytes, source }: Entry) => !model && bytes === undefined && ("hub" in source || "url" in source);

/** What there is of a model. */
export function state(entry: Entry): string {
  const { model, loading, bytes, here } = entry;
  if (loading) return going(loading.progress, loading.pace.rate, loading.pace.eta);
  if (model) return `in memory, ${size(model.bytes)} on ${model.device}`;
  if ("files" in entry.source || entry.adapter) return "on this machine";
  if (bytes === undefined) return "size unknown";
  if (here >= bytes) return `${size(bytes)}, kept in this browser`;
  return here > 0 ? `${size(here)} of ${size(bytes)} are here` : `${size(bytes)} to fetch`;
}

/** What is going on, with what is left of it. */
function going({ stage, done, total }: Progress, rate: number | undefined, eta: number | undefined): string {
  const share = `${size(done)} of ${size(total)}`;
  switch (stage) {
    case "listing":
      return "looking what there is";
    case "downloading":
      return [share, rate && `${size(rate)} a second`, eta !== undefined && `${seconds(eta)} left`].filter(Boolean).join(" · ");
    case "checking":
      return `checking ${share}`;
    default:
      return total > 1 ? `reading ${share}` : "reading";
  }
}

/** What a model is, once it was read. */
export function nature(entry: Entry): string {
  const { model } = entry;
  if (!model) return entry.kind === "embedder" ? "embeds" : entry.kind === "causal" ? "writes" : "";
  const parameters = `${(model.parameters / 1e6).toFixed(model.parameters < 1e7 ? 1 : 0)} M parameters`;
  return [model.architecture, parameters, model.kind === "embedder" ? `vectors of ${model.dims}` : `reads ${model.contextLength} tokens`].join(" · ");
}

function seconds(time: number): string {
  if (time < 90) return `${Math.max(1, Math.round(time))} s`;
  return time < 5400 ? `${Math.round(time / 60)} min` : `${(time / 3600).toFixed(1)} h`;
}
