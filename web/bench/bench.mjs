// Texts and tokens per second in one browser: this package on the CPU and on WebGPU, transformers.js
// on the CPU, and the command line beside them. Nothing is asserted; docs/web.md has the figures.
//
//   cargo build --release && cargo xtask web
//   npm --prefix web/bench install --ignore-scripts
//   python web/bench/to_onnx.py MINILM web/bench/models/minilm     (the same weights for transformers.js)
//   RAREBIT_MINILM=MINILM node web/bench/bench.mjs
//
// REPEATS (3) runs are timed after one that is not; the median is printed. TEXTS (32) and TOKENS (64)
// are less for an emulated graphics processor. WHAT is cpu,webgpu,theirs,native or some of them.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch } from "../tests/browser.mjs";
import { BASE, MINILM, modelHost, PACKAGE, RAREBIT } from "../tests/lab.mjs";
import { serve } from "../tests/static.mjs";

const HERE = import.meta.dirname;
const REPEATS = Number(process.env.REPEATS ?? 3);
const TEXTS = Number(process.env.TEXTS ?? 32);
const PROMPT = "Write a short tale about a baker and a key in the swamp.";
const WRITING = { maxNewTokens: Number(process.env.TOKENS ?? 64), numReturnSequences: 4, seed: 1 };
const WHAT = (process.env.WHAT ?? "cpu,webgpu,theirs,native").split(",");

const WORDS = "the fox ran home over a field of snow and told nobody what it had seen by the old mill where rain fell on water".split(" ");
/** Tales of about 60 words, no two alike. */
const texts = Array.from({ length: TEXTS }, (_, i) => Array.from({ length: 60 }, (_, k) => WORDS[(i * 7 + k * (i + 3)) % WORDS.length]).join(" "));

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const row = (name, value, unit) => console.log(`${name.padEnd(44)} ${value.toFixed(1).padStart(10)} ${unit}`);

const browser = await launch();
const models = await modelHost({ base: BASE, minilm: MINILM });
const library = join(HERE, "node_modules/@huggingface/transformers/dist");
const onnx = join(HERE, "models");
/** What transformers.js runs on. */
const ORT = join(HERE, "node_modules/onnxruntime-web/dist");
const pages = { "/empty.html": `<!doctype html><link rel="icon" href="data:,">` };
const host = await serve(PACKAGE, pages);

async function ours(backend) {
  const page = await browser.newPage();
  await page.goto(`${host.url}empty.html`);
  const found = await page.evaluate(
    async ([url, backend, texts, prompt, writing, repeats]) => {
      const rarebit = await import("./index.js");
      const embedder = await rarebit.loadModel({ url: `${url}minilm/` }, { backend });
      const seconds = [];
      for (let i = 0; i <= repeats; i++) {
        const start = performance.now();
        // Another text each time: vectors are remembered.
        await rarebit.embed(texts.map((text) => `${text} ${i}`), { embedder });
        seconds.push((performance.now() - start) / 1000);
      }
      await rarebit.unload(embedder);
      const model = await rarebit.loadModel({ url: `${url}base/` }, { backend });
      const rates = [];
      for (let i = 0; i <= repeats; i++) {
        let rate = 0;
        for await (const piece of rarebit.generate(model, prompt, writing)) rate = piece.tokensPerSecond || rate;
        rates.push(rate);
      }
      return { seconds: seconds.slice(1), rates: rates.slice(1) };
    },
    [models.url, backend, texts, PROMPT, WRITING, REPEATS],
  );
  await page.close();
  row(`rarebit, ${backend}: MiniLM`, TEXTS / median(found.seconds), "texts/s");
  row(`rarebit, ${backend}: the demo's model, 4 texts`, median(found.rates), "tokens/s");
}

async function theirs(device) {
  const runtime = Object.fromEntries((await readdir(ORT)).filter((name) => name.startsWith("ort-wasm")).map((name) => [`/${name}`, { file: join(ORT, name) }]));
  const weights = Object.fromEntries((await readdir(onnx, { recursive: true })).map((name) => [`/models/${name}`, { file: join(onnx, name) }]));
  const other = await serve(library, { ...pages, ...runtime, ...weights });
  const page = await browser.newPage();
  await page.goto(`${other.url}empty.html`);
  const seconds = await page.evaluate(
    async ([device, texts, repeats]) => {
      const { env, AutoModel, AutoTokenizer, mean_pooling } = await import("./transformers.min.js");
      env.allowRemoteModels = false;
      env.allowLocalModels = true;
      env.localModelPath = "/models/";
      env.backends.onnx.wasm.wasmPaths = new URL("./", location.href).href;
      env.backends.onnx.wasm.numThreads = 1;
      const tokenizer = await AutoTokenizer.from_pretrained("minilm");
      const model = await AutoModel.from_pretrained("minilm", { device, dtype: "fp32" });
      const embed = async (texts) => {
        const inputs = await tokenizer(texts, { padding: true, truncation: true });
        const { last_hidden_state } = await model(inputs);
        return mean_pooling(last_hidden_state, inputs.attention_mask).normalize(2, -1);
      };
      const seconds = [];
      for (let i = 0; i <= repeats; i++) {
        const start = performance.now();
        await embed(texts.map((text) => `${text} ${i}`));
        seconds.push((performance.now() - start) / 1000);
      }
      return seconds.slice(1);
    },
    [device, texts, REPEATS],
  );
  await page.close();
  other.close();
  row(`transformers.js, ${device}: MiniLM`, TEXTS / median(seconds), "texts/s");
}

/** Seconds that a command takes that remembers nothing. */
function timed(...args) {
  const cache = mkdtempSync(join(tmpdir(), "rarebit-cache-"));
  const start = performance.now();
  execFileSync(RAREBIT, args, { stdio: "ignore", env: { ...process.env, XDG_CACHE_HOME: cache } });
  rmSync(cache, { recursive: true });
  return (performance.now() - start) / 1000;
}

function native() {
  const scratch = mkdtempSync(join(tmpdir(), "rarebit-bench-"));
  const file = (name, texts) => {
    const path = join(scratch, name);
    writeFileSync(path, texts.map((response, i) => JSON.stringify({ prompt: `${i >> 1}`, response, score: i })).join("\n"));
    return path;
  };
  // The same command on few and on many texts: the difference is the embedding.
  const [few, many] = [file("few.jsonl", texts.slice(0, 2)), file("many.jsonl", [...texts, ...texts.map((text) => `${text} again`)])];
  const embed = (path) => timed("deviation", path, "--semantic", MINILM, "--json", "--device", "cpu");
  const seconds = Array.from({ length: REPEATS }, () => embed(many) - embed(few));
  row("native, CPU: MiniLM", (2 * TEXTS - 2) / median(seconds), "texts/s");
  const write = (tokens) => timed("generate", BASE, "--prompt", PROMPT, "-n", "4", "--json", "--seed", "1", "--device", "cpu", "--max-new-tokens", `${tokens}`);
  const writing = Array.from({ length: REPEATS }, () => write(65) - write(1));
  row("native, CPU: the demo's model, 4 texts", 256 / median(writing), "tokens/s");
  rmSync(scratch, { recursive: true });
}

for (const backend of ["cpu", "webgpu"]) if (WHAT.includes(backend)) await ours(backend);
if (WHAT.includes("theirs")) {
  for (const device of (process.env.DEVICES ?? "wasm,webgpu").split(",")) await theirs(device).catch((error) => console.log(`transformers.js, ${device}: ${error.message.split("\n")[0]}`));
}
if (WHAT.includes("native")) native();
models.close();
host.close();
await browser.close();
