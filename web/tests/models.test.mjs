// Models in the browser: what they write and the vectors they give are the command line's.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { BASE, lab, MINILM, modelHost, native, numbers, safetensors } from "./lab.mjs";

const PROMPT = "Write a short tale about a baker and a key in the swamp.";
const BACKENDS = ["cpu", "webgpu"];
/** The emulated graphics processor is slow. */
const TOKENS = { cpu: 24, webgpu: 8 };
const EXPECTED = JSON.parse(await readFile(join(import.meta.dirname, "../../tests/fixtures/minilm/expected.json"), "utf8"));

let room;
let host;
let page;
let scratch;

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), "rarebit-models-"));
  // An adapter with numbers that turn the base's texts into others.
  const [hidden, r] = [160, 4];
  const tensors = {};
  for (let layer = 0; layer < 4; layer++) {
    const name = `base_model.model.model.layers.${layer}.self_attn.q_proj`;
    tensors[`${name}.lora_A.weight`] = { shape: [r, hidden], values: numbers(r * hidden, layer + 1) };
    tensors[`${name}.lora_B.weight`] = { shape: [hidden, r], values: numbers(r * hidden, layer + 9) };
  }
  writeFileSync(join(scratch, "adapter_model.safetensors"), safetensors(tensors));
  writeFileSync(join(scratch, "adapter_config.json"), JSON.stringify({ peft_type: "LORA", task_type: "CAUSAL_LM", r, lora_alpha: 4, target_modules: ["q_proj"], base_model_name_or_path: BASE }));
  host = await modelHost({ base: BASE, adapter: scratch, ...(MINILM && { minilm: MINILM }) });
  room = await lab();
  page = await room.page();
});
after(async () => {
  await room?.close();
  host?.close();
  if (scratch) rmSync(scratch, { recursive: true });
});

/** Writes greedily with the base, or with the adapter on it. */
const write = (backend, adapter) =>
  page.evaluate(
    async ([url, backend, prompt, maxNewTokens, adapter]) => {
      const base = await rarebit.loadModel({ url: `${url}base/` }, { backend });
      const model = adapter ? await rarebit.withAdapter(base, { url: `${url}adapter/` }) : base;
      const tokens = [];
      let text = "";
      let reason;
      for await (const piece of rarebit.generate(model, prompt, { temperature: 0, maxNewTokens })) {
        text += piece.text;
        if (piece.token !== null) tokens.push(piece.token);
        reason = piece.finishReason;
      }
      await rarebit.unload(base);
      return { text, tokens: tokens.length, reason, model };
    },
    [host.url, backend, PROMPT, TOKENS[backend], adapter],
  );

for (const backend of BACKENDS) {
  test(`greedy writing gives native's tokens: ${backend}`, async () => {
    const [expected] = native(BASE, PROMPT, "--greedy", "--repetition-penalty", "1", "-n", "1", "--max-new-tokens", `${TOKENS[backend]}`);
    const found = await write(backend, false);
    assert.equal(found.text, expected.response);
    assert.equal(found.tokens, expected.tokens);
    assert.equal(found.reason, expected.finish_reason);
    assert.equal(found.model.backend, backend);
    assert.equal(found.model.kind, "causal");
    assert.equal(found.model.architecture, "llama");
    assert.equal(found.model.contextLength, 512);
    assert.ok(found.model.chat);
  });
}

test("an adapter changes what is written as it does natively, and its base stays as it is", async () => {
  const options = ["--greedy", "--repetition-penalty", "1", "-n", "1", "--max-new-tokens", `${TOKENS.cpu}`];
  const [expected] = native(scratch, PROMPT, ...options);
  const [base] = native(BASE, PROMPT, ...options);
  assert.notEqual(base.response, expected.response);
  const found = await write("cpu", true);
  assert.equal(found.text, expected.response);
  assert.equal(found.model.adapter, "adapter");
  assert.equal((await write("cpu", false)).text, base.response);
});

test("8-bit weights with a scale for each row are read", async () => {
  const file = await readFile(join(BASE, "model.safetensors"));
  const { quantised, rounded } = eightBit(file);
  const small = async (name) => Buffer.from(await readFile(join(BASE, name)));
  const others = { "config.json": await small("config.json"), "tokenizer.json": await small("tokenizer.json"), "tokenizer_config.json": await small("tokenizer_config.json") };
  const files = { int8: { ...others, "model.safetensors": quantised }, f32: { ...others, "model.safetensors": rounded } };
  const own = await modelHost(files);
  const texts = await page.evaluate(
    async ([url, prompt]) => {
      const texts = [];
      for (const name of ["int8", "f32"]) {
        const model = await rarebit.loadModel({ url: `${url}${name}/` }, { backend: "cpu" });
        let text = "";
        for await (const piece of rarebit.generate(model, prompt, { temperature: 0, maxNewTokens: 16 })) text += piece.text;
        texts.push(text);
        await rarebit.unload(model);
      }
      return texts;
    },
    [own.url, PROMPT],
  );
  own.close();
  assert.ok(texts[0].length > 10);
  assert.equal(texts[0], texts[1]);
});

/** A file of weights with its matrices as int8 and scales, and the same numbers as f32. */
function eightBit(file) {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length));
  const [quantised, rounded] = [{}, {}];
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = data_offsets;
    assert.equal(dtype, "F16");
    const bytes = file.subarray(8 + length + from, 8 + length + to);
    const values = Float32Array.from({ length: bytes.length / 2 }, (_, i) => half(bytes.readUInt16LE(2 * i)));
    if (shape.length !== 2 || name.includes("embed")) {
      quantised[name] = rounded[name] = { shape, values };
      continue;
    }
    const [rows, columns] = shape;
    const scales = new Float32Array(rows);
    const whole = new Int8Array(values.length);
    const back = new Float32Array(values.length);
    for (let row = 0; row < rows; row++) {
      const line = values.subarray(row * columns, (row + 1) * columns);
      scales[row] = Math.max(...line.map(Math.abs)) / 127;
      line.forEach((value, i) => {
        whole[row * columns + i] = Math.round(value / scales[row]);
        back[row * columns + i] = whole[row * columns + i] * scales[row];
      });
    }
    quantised[name] = { shape, values: whole, dtype: "I8" };
    quantised[`${name}_scale`] = { shape: [rows, 1], values: scales };
    rounded[name] = { shape, values: back };
  }
  return { quantised: safetensors(quantised), rounded: safetensors(rounded) };
}

function half(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

test("texts are streamed side by side, the same with the same seed, and stopped at a word", async () => {
  const found = await page.evaluate(
    async ([url, prompt]) => {
      const model = await rarebit.loadModel({ url: `${url}base/` }, { backend: "cpu" });
      const options = { maxNewTokens: 40, numReturnSequences: 3, seed: 7 };
      const written = async (seed) => {
        const texts = ["", "", ""];
        const order = [];
        for await (const piece of rarebit.generate(model, prompt, { ...options, seed })) {
          texts[piece.sample] += piece.text;
          order.push(piece.sample);
        }
        return { texts, order: order.slice(0, 6) };
      };
      const [first, second, other] = [await written(7), await written(7), await written(8)];
      let pieces = 0;
      for await (const _ of rarebit.generate(model, prompt, { maxNewTokens: 400 })) if (++pieces === 5) break;
      const stop = new AbortController();
      let heard = 0;
      let error;
      try {
        for await (const _ of rarebit.generate(model, prompt, { maxNewTokens: 400, signal: stop.signal })) if (++heard === 3) stop.abort();
      } catch (thrown) {
        error = thrown.name;
      }
      // Two at once take turns.
      const turns = [];
      const listen = async (who) => {
        for await (const _ of rarebit.generate(model, prompt, { maxNewTokens: 12 })) turns.push(who);
      };
      await Promise.all([listen("a"), listen("b")]);
      const bad = await rarebit.generate(model, prompt, { topP: 2 }).next().catch((error) => [error.code, error.message]);
      await rarebit.unload(model);
      const gone = await rarebit.generate(model, prompt).next().catch((error) => error.code);
      return { first, second, other, pieces, heard, error, turns: turns.join(""), bad, gone };
    },
    [host.url, PROMPT],
  );
  assert.deepEqual(found.first.order, [0, 1, 2, 0, 1, 2]);
  assert.deepEqual(found.first.texts, found.second.texts);
  assert.notDeepEqual(found.first.texts, found.other.texts);
  assert.equal(new Set(found.first.texts).size, 3);
  assert.equal(found.pieces, 5);
  assert.equal(found.error, "AbortError");
  assert.match(found.turns, /ab.*ab.*ab/);
  assert.deepEqual(found.bad, ["input", "top_p is 2; it must be between 0 and 1"]);
  assert.equal(found.gone, "input");
});

for (const backend of BACKENDS) {
  test(`MiniLM's vectors are sentence-transformers': ${backend}`, { skip: !MINILM && "RAREBIT_MINILM does not name the folder of all-MiniLM-L6-v2" }, async () => {
    // The emulated graphics processor is slow: the long texts are left to the CPU.
    const texts = EXPECTED.texts.map((text, i) => [text, EXPECTED.embeddings[i]]).filter(([text]) => backend === "cpu" || text.length < 200);
    const found = await page.evaluate(
      async ([url, backend, texts]) => {
        const model = await rarebit.loadModel({ url: `${url}minilm/` }, { backend });
        const vectors = await rarebit.embed(texts, { embedder: model });
        const score = await rarebit.score(texts.slice(0, 3), { semantic: model });
        await rarebit.unload(model);
        return { vectors: vectors.map((vector) => [...vector]), model, distance: score.distances.semantic[1], embedder: score.embedders.semantic };
      },
      [host.url, backend, texts.map(([text]) => text)],
    );
    let worst = 0;
    texts.forEach(([, expected], i) => expected.forEach((value, k) => (worst = Math.max(worst, Math.abs(value - found.vectors[i][k])))));
    assert.ok(worst < 1e-4, `the largest difference is ${worst}`);
    assert.equal(found.model.kind, "embedder");
    assert.equal(found.model.dims, 384);
    assert.equal(found.model.contextLength, 256);
    const [a, b] = texts.map(([, vector]) => vector);
    const distance = 1 - a.reduce((sum, value, i) => sum + value * b[i], 0);
    assert.ok(Math.abs(found.distance - distance) < 1e-4);
    assert.match(found.embedder, /^minilm@[0-9a-f]{16}$/);
  });
}

test("after the worker's end, and after a loss of the graphics processor, models go on", async () => {
  const found = await page.evaluate(
    async ([url, prompt]) => {
      const text = async (model, maxNewTokens) => {
        let text = "";
        for await (const piece of rarebit.generate(model, prompt, { temperature: 0, maxNewTokens })) text += piece.text;
        return text;
      };
      const plain = await rarebit.loadModel({ url: `${url}base/` }, { backend: "cpu" });
      const ended = [await text(plain, 6)];
      rarebit.stop();
      ended.push(await text(plain, 6));
      await rarebit.unload(plain);
      const model = await rarebit.loadModel({ url: `${url}base/` }, { backend: "webgpu" });
      const lost = [await text(model, 2)];
      await rarebit.loseGpu();
      const code = await text(model, 2).catch((error) => [error.code, error.remedy !== ""]);
      lost.push(await text(model, 2));
      await rarebit.unload(model);
      return { ended, lost, code };
    },
    [host.url, PROMPT],
  );
  assert.deepEqual(found.code, ["device-lost", true]);
  for (const [before, after] of [found.ended, found.lost]) {
    assert.ok(before.length > 0);
    assert.equal(after, before);
  }
});

test("the demo's two models are part of the package, and a benchmark decides", async () => {
  const fresh = await room.page();
  const found = await fresh.evaluate(async (prompt) => {
    const before = await rarebit.backends();
    const models = [await rarebit.loadModel({ demo: "dpo" }), await rarebit.loadModel({ demo: "ddpo" })];
    const size = await rarebit.modelSize({ demo: "dpo" });
    const texts = [];
    for (const model of models) {
      let text = "";
      for await (const piece of rarebit.generate(model, prompt, { temperature: 0, maxNewTokens: 30 })) text += piece.text;
      texts.push(text);
    }
    const names = rarebit.loaded().map((model) => model.name);
    const measured = await rarebit.benchmark();
    const after = await rarebit.backends();
    const byHand = await rarebit.useBackend("webgpu");
    await rarebit.useBackend("auto");
    return { before, texts, names, measured, after, byHand, size };
  }, PROMPT);
  await fresh.close();
  assert.ok(found.before.webgpu.available && found.before.webgpu.software, JSON.stringify(found.before));
  assert.equal(found.before.chosen, "cpu");
  assert.notEqual(found.texts[0], found.texts[1]);
  assert.deepEqual(found.names, ["DPO (demo)", "DDPO (demo)"]);
  const { cpu, webgpu } = found.measured.tokensPerSecond;
  // What takes longer than half a minute, as an emulated graphics processor may, is given up.
  assert.ok(cpu > 0 && (webgpu === null || webgpu > 0), JSON.stringify(found.measured));
  assert.equal(found.after.chosen, found.measured.fastest);
  assert.deepEqual(found.after.benchmark, found.measured);
  assert.equal(found.byHand.chosen, "webgpu");
  assert.ok(found.size.bytes > 2_000_000 && found.size.bytes < 4_000_000);
});

test("without WebGPU the CPU computes, and the page is told why", async () => {
  const plain = await launch({ webgpu: false });
  const page = await plain.newPage();
  await page.goto(`${room.url}empty.html`);
  const found = await page.evaluate(async () => {
    const rarebit = await import("./index.js");
    const backends = await rarebit.backends();
    const model = await rarebit.loadModel({ demo: "dpo" });
    const asked = await rarebit.loadModel({ demo: "dpo" }, { backend: "webgpu" }).catch((error) => [error.code, error.remedy]);
    return { backends, backend: model.backend, asked };
  });
  await plain.close();
  assert.equal(found.backends.webgpu.available, false);
  assert.match(found.backends.webgpu.reason, /WebGPU|graphics processor/);
  assert.equal(found.backends.chosen, "cpu");
  assert.equal(found.backend, "cpu");
  assert.deepEqual(found.asked, ["no-backend", "Choose the CPU."]);
});

test("what a backend has no room for is refused before it is read", async () => {
  // A header that promises more than any graphics processor takes at once; the numbers are not there.
  const found = await page.evaluate(async () => {
    const backends = await rarebit.backends();
    const rows = Math.ceil(backends.webgpu.largestBuffer / 4 / 1024) + 1;
    const header = JSON.stringify({ "model.embed_tokens.weight": { dtype: "F16", shape: [rows, 1024], data_offsets: [0, rows * 2048] } });
    const text = new TextEncoder().encode(header);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, text.length, true);
    const hole = new Blob([new Uint8Array(2 ** 20)]);
    const pieces = Array.from({ length: Math.floor((rows * 2048) / 2 ** 20) }, () => hole);
    const weights = new Blob([bytes, text, ...pieces, hole.slice(0, (rows * 2048) % 2 ** 20)]);
    const files = [new File([weights], "model.safetensors"), new File(['{"model_type": "llama"}'], "config.json")];
    return rarebit.loadModel({ files, name: "giant" }, { backend: "webgpu" }).catch((error) => [error.code, error.message, error.remedy]);
  });
  assert.equal(found[0], "too-large", found.join(" "));
  assert.match(found[1], /embed_tokens\.weight takes \d+ MB, this graphics processor takes \d+ MB at once/);
  assert.match(found[2], /CPU/);
});
