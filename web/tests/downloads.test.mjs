// Models from elsewhere: fetched, gone on with, checked, kept, deleted.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { BASE, folderOf, lab, modelHost } from "./lab.mjs";

const NAMES = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
const FILES = Object.fromEntries(await Promise.all(NAMES.map(async (name) => [name, await readFile(join(BASE, name))])));
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const git = (bytes) => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** The hub's own layout: the list of a revision, and its files. */
function onHub(files, wrong = {}) {
  const siblings = Object.entries(files).map(([rfilename, bytes]) => {
    const hash = wrong[rfilename];
    const large = rfilename.endsWith(".safetensors");
    return { rfilename, size: bytes.length, blobId: hash ?? git(bytes), ...(large && { lfs: { sha256: hash ?? sha256(bytes), size: bytes.length } }) };
  });
  const list = { sha: COMMIT, siblings: [...siblings, { rfilename: "pytorch_model.bin", size: 5 }, { rfilename: "README.md", size: 5 }] };
  const tales = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`tales/resolve/${COMMIT}/${name}`, bytes]));
  return { api: { "models/org/tales/revision/main": JSON.stringify(list) }, org: tales };
}

let room;
let page;
before(async () => {
  room = await lab();
  page = await room.page();
});
after(() => room?.close());
beforeEach(() => page.evaluate(async () => {
  for (const model of rarebit.loaded()) await rarebit.unload(model);
  for (const model of await rarebit.cached()) await rarebit.deleteCached(model.id);
}));

test("a hub's model is fetched once, checked, kept, and deleted", async () => {
  const host = await modelHost(onHub(FILES));
  const found = await page.evaluate(async (endpoint) => {
    const source = { hub: "org/tales", endpoint };
    const before = await rarebit.modelSize(source);
    const stages = new Set();
    let last;
    const onProgress = (progress) => (stages.add(progress.stage), progress.stage === "downloading" && (last = progress));
    const model = await rarebit.loadModel(source, { backend: "cpu", onProgress });
    const kept = await rarebit.cached();
    return { before, stages: [...stages], last, name: model.name, kept, after: await rarebit.modelSize(source) };
  }, host.url);
  const total = Object.values(FILES).reduce((sum, bytes) => sum + bytes.length, 0);
  assert.deepEqual(found.before, { bytes: total, cachedBytes: 0 });
  assert.deepEqual(found.stages, ["listing", "downloading", "checking", "loading"]);
  assert.equal(found.last.done, total);
  assert.equal(found.last.total, total);
  assert.equal(found.name, "org/tales");
  assert.deepEqual(found.after, { bytes: total, cachedBytes: total });
  assert.equal(found.kept.length, 1);
  assert.equal(found.kept[0].bytes, total);
  assert.ok(found.kept[0].complete);
  assert.equal(found.kept[0].name, "org/tales");
  assert.ok(!host.log.some((line) => line.includes("pytorch_model.bin") || line.includes("README")));

  // The second time nothing is asked of the host, not even after a new visit.
  host.log.length = 0;
  await page.reload();
  await page.evaluate(`import("./index.js").then((rarebit) => { globalThis.rarebit = rarebit; })`);
  await page.evaluate(async (kept) => void (await rarebit.loadModel(kept.source, { backend: "cpu" })), found.kept[0]);
  assert.deepEqual(host.log, []);
  const left = await page.evaluate(async (id) => (await rarebit.deleteCached(id), rarebit.cached()), found.kept[0].id);
  assert.deepEqual(left, []);
  host.close();
});

test("a cancelled download goes on where it stopped", async () => {
  const host = await modelHost({ tales: FILES });
  const load = (cancel) =>
    page.evaluate(
      async ([url, cancel]) => {
        const stop = new AbortController();
        const onProgress = ({ stage, done }) => cancel && stage === "downloading" && done > 800_000 && stop.abort();
        try {
          const model = await rarebit.loadModel({ url: `${url}tales/` }, { backend: "cpu", signal: stop.signal, onProgress });
          return model.name;
        } catch (error) {
          return [error.name, ...(await rarebit.cached()).map((kept) => [kept.complete, kept.bytes > 800_000, kept.bytes < kept.total])];
        }
      },
      [host.url, cancel],
    );
  host.stallAfter = 1_000_000;
  assert.deepEqual(await load(true), ["AbortError", [false, true, true]]);
  host.stallAfter = Infinity;
  host.log.length = 0;
  assert.equal(await load(false), "tales");
  const [range] = host.log.map((line) => /^GET model\.safetensors bytes=(\d+)-$/.exec(line)?.[1]).filter(Boolean);
  assert.ok(Number(range) >= 800_000, host.log.join("\n"));
  assert.ok(!host.log.includes("GET tokenizer.json"), "what is whole is not fetched again");
  host.close();
});

test("a connection that breaks off is told, and what has arrived is kept", async () => {
  const host = await modelHost({ tales: FILES });
  Object.assign(host, { stallAfter: 500_000, drop: true });
  const load = () =>
    page.evaluate(async (url) => rarebit.loadModel({ url: `${url}tales/` }, { backend: "cpu" }).then((model) => model.name, (error) => [error.code, error.remedy]), host.url);
  assert.deepEqual(await load(), ["network", "Try again: what has arrived is kept."]);
  Object.assign(host, { stallAfter: Infinity, drop: false });
  assert.equal(await load(), "tales");
  host.close();
});

test("a file that is another than was meant is refused and deleted", async () => {
  for (const name of ["model.safetensors", "tokenizer.json"]) {
    const host = await modelHost(onHub(FILES, { [name]: "0".repeat(name === "tokenizer.json" ? 40 : 64) }));
    const found = await page.evaluate(async (endpoint) => {
      const error = await rarebit.loadModel({ hub: "org/tales", endpoint }, { backend: "cpu" }).catch((error) => [error.code, error.message]);
      return { error, kept: (await rarebit.cached()).map((kept) => kept.complete) };
    }, host.url);
    assert.equal(found.error[0], "hash");
    assert.match(found.error[1], new RegExp(`^${name} is not the file that was meant`));
    assert.deepEqual(found.kept, [false]);
    host.close();
    await page.evaluate(async () => {
      for (const model of await rarebit.cached()) await rarebit.deleteCached(model.id);
    });
  }
});

test("SHA256SUMS beside a model's files are what they are checked against", async () => {
  const sums = NAMES.map((name) => `${sha256(FILES[name])}  ${name}\n`).join("");
  const host = await modelHost({ right: { ...FILES, SHA256SUMS: sums }, wrong: { ...FILES, SHA256SUMS: sums.replace(/^[0-9a-f]{4}/m, "ffff") } });
  const load = (name) => page.evaluate(async (url) => rarebit.loadModel({ url }, { backend: "cpu" }).then((model) => model.name, (error) => error.code), `${host.url}${name}/`);
  assert.equal(await load("right"), "right");
  assert.equal(await load("wrong"), "hash");
  host.close();
});

test("what is not there is told with its address", async () => {
  const host = await modelHost({});
  const found = await page.evaluate(async (url) => {
    const told = (source) => rarebit.loadModel(source).catch((error) => [error.code, error.message, error.remedy !== ""]);
    return [await told({ url: `${url}none/` }), await told({ hub: "org/none", endpoint: url }), await told({ hub: "no such name" }), await told({ url: "nowhere" })];
  }, host.url);
  assert.deepEqual(found.map(([code]) => code), ["not-found", "not-found", "input", "input"]);
  assert.ok(found.every(([, , remedy]) => remedy));
  host.close();
  const away = await page.evaluate(async (url) => rarebit.loadModel({ url: `${url}tales/` }).catch((error) => error.code), host.url);
  assert.equal(away, "network");
});

test("a folder of this machine is read where it is", async () => {
  const files = await folderOf(BASE);
  const found = await page.evaluate(async (files) => {
    const list = files.map(([path, data]) => {
      const file = new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], path);
      Object.defineProperty(file, "webkitRelativePath", { value: `tales/${path}` });
      return file;
    });
    const model = await rarebit.loadModel({ files: list }, { backend: "cpu" });
    const bad = await rarebit.loadModel({ files: [new File(["x"], "notes.txt")] }).catch((error) => [error.code, error.message]);
    const broken = list.map((file) => (file.name === "model.safetensors" ? Object.defineProperty(new File([file.slice(0, 5000)], file.name), "webkitRelativePath", { value: `tales/${file.name}` }) : file));
    const damaged = await rarebit.loadModel({ files: broken }).catch((error) => [error.code, error.message]);
    return { name: model.name, parameters: model.parameters, bad, damaged, kept: await rarebit.cached() };
  }, files);
  assert.equal(found.name, "tales");
  assert.ok(found.parameters > 1_000_000);
  assert.deepEqual(found.bad, ["file", "There is no config.json among the files."]);
  assert.equal(found.damaged[0], "file");
  assert.match(found.damaged[1], /is not a whole safetensors file/);
  assert.deepEqual(found.kept, []);
});
