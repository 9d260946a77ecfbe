// What can compute here, which of it is taken, and how fast each is.

import { RarebitError, type Backend, type Backends, type Benchmark } from "../types.ts";
import * as store from "./store.ts";
import { module, wasm } from "./wasm.ts";

/** Words in the name of an adapter that is an emulation on the main processor. */
const EMULATION = /swiftshader|llvmpipe|lavapipe|softpipe|microsoft basic render|\bwarp\b|software/i;

type Gpu = Backends["webgpu"];

async function look(): Promise<Gpu> {
  const none = (reason: string): Gpu => ({ available: false, adapter: "", software: false, reason, largestBuffer: 0 });
  if (!navigator.gpu) {
    return none(isSecureContext ? "This browser has no WebGPU, or it is switched off." : "WebGPU needs a secure address: https, or localhost.");
  }
  let adapter: GPUAdapter | null;
  try {
    adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (error) {
    return none(`WebGPU does not start: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!adapter) return none("The browser finds no graphics processor that it lets pages use. A newer driver may help.");
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const name = description || device || [vendor, architecture].filter(Boolean).join(" ") || "unnamed";
  const all = [vendor, architecture, device, description].join(" ");
  const largestBuffer = Math.min(adapter.limits.maxStorageBufferBindingSize, adapter.limits.maxBufferSize);
  return { available: true, adapter: name, software: isFallbackAdapter || EMULATION.test(all), reason: "", largestBuffer };
}

interface Remembered {
  backend?: Backend | "auto";
  benchmark?: Benchmark;
}

export async function backends(): Promise<Backends> {
  const webgpu = await look();
  const { backend = "auto", benchmark = null } = (await store.settings()) as Remembered;
  const measured = benchmark && benchmark.adapter === webgpu.adapter ? benchmark : null;
  const [chosen, reason] = choose(webgpu, backend, measured);
  return { webgpu, cpu: { available: true, threads: 1 }, asked: backend, chosen, reason, benchmark: measured };
}

function choose(gpu: Gpu, asked: Backend | "auto", measured: Benchmark | null): [Backend, string] {
  if (!gpu.available) return ["cpu", gpu.reason];
  if (asked !== "auto") return [asked, "It was chosen by hand."];
  if (measured) return [measured.fastest, "It was the faster one when both were measured here."];
  if (gpu.software) return ["cpu", `${gpu.adapter} only emulates a graphics processor.`];
  // Small models are often faster on the CPU: nothing is taken for faster that was not measured.
  return ["cpu", `${gpu.adapter} has not been measured beside it; the benchmark does that.`];
}

export async function useBackend(backend: Backend | "auto"): Promise<Backends> {
  if (!["webgpu", "cpu", "auto"].includes(backend)) throw new RarebitError("input", `"${backend}" is no backend.`, "There are webgpu, cpu and auto.");
  await store.saveSettings({ ...(await store.settings()), backend });
  return backends();
}

export async function remember(benchmark: Benchmark): Promise<void> {
  await store.saveSettings({ ...(await store.settings()), benchmark });
}

/** Opens what a model is to be computed on: its backend, and its name in words. */
export async function open(asked: Backend | "auto"): Promise<{ backend: Backend; device: string }> {
  await module();
  const { webgpu, chosen } = await backends();
  const backend = asked === "auto" ? chosen : asked;
  if (backend === "cpu") return { backend, device: "CPU" };
  if (!webgpu.available) throw new RarebitError("no-backend", webgpu.reason, "Choose the CPU.");
  await wasm.openGpu();
  return { backend, device: webgpu.adapter };
}
