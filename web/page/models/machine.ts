// What models compute on: the badge, the switch, and the benchmark.

import { backends, benchmark, useBackend, type Backend, type Backends, type Benchmark } from "../../package/src/index.ts";
import { byId, say } from "../dom.ts";
import { problem, stopped } from "../notice.ts";
import { all, free } from "./library.ts";

const NAMES: Record<Backend, string> = { webgpu: "WebGPU", cpu: "CPU" };

const button = byId<HTMLButtonElement>("benchmark");
let measuring: AbortController | undefined;

/** Says what there is and what is chosen; asks the machine if `found` is not known. */
export async function showMachine(found?: Backends): Promise<void> {
  const { webgpu, cpu, asked, chosen, reason, benchmark } = found ?? (await backends());
  say(byId("badge-words"), webgpu.available && chosen === "webgpu" ? `WebGPU · ${webgpu.adapter || "unnamed"}` : NAMES[chosen]);
  byId("badge").title = reason;
  say(byId("about-auto"), `now ${NAMES[chosen]}: ${reason}`);
  say(byId("about-webgpu"), webgpu.available ? `${webgpu.adapter || "an adapter without a name"}${webgpu.software ? ", an emulation on the processor" : ""}` : webgpu.reason);
  say(byId("about-cpu"), cpu.available ? (cpu.threads === 1 ? "one thread, with vector instructions; works everywhere" : `${cpu.threads} threads`) : "not there: this browser has no WebAssembly SIMD");
  radio(asked).checked = true;
  radio("webgpu").disabled = !webgpu.available;
  radio("cpu").disabled = !cpu.available;
  if (benchmark && !measuring) say(byId("benchmark-words"), result(benchmark));
}

function result({ tokensPerSecond, fastest, at }: Benchmark): string {
  const speed = (backend: Backend) => {
    const found = tokensPerSecond[backend];
    return found === null ? `${NAMES[backend]} did not run` : `${NAMES[backend]} ${found < 10 ? found.toFixed(1) : Math.round(found)}`;
  };
  return `Tokens a second: ${speed("webgpu")}, ${speed("cpu")}. ${NAMES[fastest]} is faster here (${new Date(at).toLocaleDateString()}).`;
}

const radio = (value: string) => byId("backend").querySelector(`[value=${value}]`) as HTMLInputElement;

/** Takes another backend; models that are in memory are read again when they are next used. */
async function choose(backend: Backend | "auto"): Promise<void> {
  const found = await useBackend(backend);
  for (const entry of all()) if (entry.model && entry.model.backend !== found.chosen) await free(entry);
  await showMachine(found);
}

export function listenToMachine(): void {
  byId("backend").addEventListener("change", (event) => {
    choose((event.target as HTMLInputElement).value as Backend | "auto").catch(problem);
  });
  button.addEventListener("click", async () => {
    if (measuring) return measuring.abort(new DOMException("The benchmark was stopped.", "AbortError"));
    measuring = new AbortController();
    say(button, "Stop");
    say(byId("benchmark-words"), "Measuring; it takes about ten seconds…");
    try {
      const onProgress = ({ stage, done, total }: { stage: string; done: number; total: number }) => say(byId("benchmark-words"), `Measuring: ${stage}${total > 1 ? `, ${done} of ${total}` : ""}…`);
      const found = await benchmark({ signal: measuring.signal, onProgress });
      say(byId("benchmark-words"), result(found));
    } catch (error) {
      say(byId("benchmark-words"), stopped(error) ? "Stopped." : "It did not run.");
      problem(error);
    } finally {
      measuring = undefined;
      say(button, "Measure both");
      showMachine().catch(problem);
    }
  });
}

/** `?backend=cpu` in the address takes a backend. */
export async function takeAddress(): Promise<void> {
  const asked = new URLSearchParams(location.search).get("backend");
  if (asked !== "auto" && asked !== "webgpu" && asked !== "cpu") return;
  await choose(asked);
}
