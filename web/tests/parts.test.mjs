// The page's own arithmetic and reading, without a browser.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";

/** A module of the page, from its TypeScript. */
async function part(path) {
  const { outputFiles } = await build({ entryPoints: [join(import.meta.dirname, "../page", path)], bundle: true, format: "esm", write: false, logLevel: "error" });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
}

test("the curve is the mean distance of the first k texts, with the jackknife's error", async () => {
  const { curve } = await part("write/diversity.ts");
  const distances = [
    [0, 0.2, 0.6, 1],
    [0.2, 0, 0.4, 0.8],
    [0.6, 0.4, 0, 0.6],
    [1, 0.8, 0.6, 0],
  ];
  const points = curve(Float32Array.from(distances.flat()), 4);
  assert.deepEqual(points.map(({ texts }) => texts), [2, 3, 4]);
  const near = (found, wanted) => assert.ok(Math.abs(found - wanted) < 1e-6, `${found} is not ${wanted}`);
  near(points[0].value, 0.2);
  near(points[1].value, 0.4);
  near(points[2].value, 0.6);
  assert.equal(points[0].error, undefined);
  assert.equal(points[1].error, undefined);
  // Of four: (0.4+0.8+0.6)/3, (0.6+1+0.6)/3, (0.2+1+0.8)/3, (0.2+0.6+0.4)/3.
  const without = [0.6, 2.2 / 3, 2 / 3, 0.4];
  const squares = without.reduce((sum, value) => sum + (value - 0.6) ** 2, 0);
  near(points[2].error, Math.sqrt((3 / 4) * squares));
  assert.deepEqual(curve(new Float32Array(1), 1), []);
  assert.deepEqual(curve(new Float32Array(0), 0), []);
  assert.deepEqual(curve(new Float32Array(16), 4).at(-1), { texts: 4, value: 0, error: 0 });
});

test("the pace of a download and what is left of it", async () => {
  const { Pace } = await part("models/pace.ts");
  const pace = new Pace();
  assert.equal(pace.eta, undefined);
  pace.at(0, 1000, 0);
  assert.equal(pace.rate, undefined);
  for (let second = 1; second <= 10; second++) pace.at(50 * second, 1000, second);
  assert.equal(pace.rate, 50);
  assert.equal(pace.eta, 10);
  for (let second = 11; second <= 20; second++) pace.at(500, 1000, second);
  assert.equal(pace.rate, 0);
  assert.equal(pace.eta, undefined);
});

test("names and addresses of models are told apart", async () => {
  const { sourceOf, sourceOfKey } = await part("models/sources.ts");
  assert.deepEqual(sourceOf(" HuggingFaceTB/SmolLM2-135M "), { hub: "HuggingFaceTB/SmolLM2-135M" });
  assert.deepEqual(sourceOf("org/name@refs/pr/1"), { hub: "org/name@refs/pr/1" });
  assert.deepEqual(sourceOf("https://example.org/a/"), { url: "https://example.org/a/" });
  for (const words of ["", "name", "a b/c", "javascript:alert(1)", "../x/y", "ftp://a/b"]) assert.equal(sourceOf(words), undefined, words);
  assert.deepEqual(sourceOfKey("hub:org/name"), { hub: "org/name" });
  assert.deepEqual(sourceOfKey("url:https://example.org/a/"), { url: "https://example.org/a/" });
  for (const key of ["demo:dpo", "hub:https://example.org/", "url:org/name", "folder:x", ""]) assert.equal(sourceOfKey(key), undefined, key);
});
