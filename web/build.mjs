// The page into dist/site and the npm package into dist/package, from TypeScript and dist/wasm.
// `cargo xtask web` builds dist/wasm first and then runs this.

import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = import.meta.dirname;
const at = (...parts) => join(here, ...parts);

/** What a visitor loads, gzipped, in kB: the parts that belong together and the most they may be. */
const SCORING = ["index.html", "style.css", "app.js", "worker.js", "score_bg.wasm"];
const BUDGETS = [
  { name: "scoring", limit: 1200, files: SCORING },
  { name: "with models", limit: 4000, files: [...SCORING, "models.js", "models_bg.wasm"] },
];
/** The modules of WebAssembly, beside the scripts that fetch them. */
const MODULES = ["score_bg.wasm", "models_bg.wasm"];

const common = {
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  alias: { "#score": at("dist/wasm/score.js"), "#models": at("dist/wasm/models.js") },
  logLevel: "warning",
};

/** The worker and, apart from it, what it fetches when models are wanted. */
const WORKERS = { worker: at("package/src/worker.ts"), models: at("package/src/models/engine.ts") };

/** The modules, and the demo's models: a folder each, their tokenizer and settings the base's. */
async function computing(out) {
  for (const name of MODULES) await cp(at("dist/wasm", name), join(out, name));
  for (const model of ["dpo", "ddpo"]) {
    const folder = join(out, "models", model);
    await cp(at("demo", `${model}.safetensors`), join(folder, "model.safetensors"));
    for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json"]) await cp(at("../native/demo", name), join(folder, name));
  }
}

async function site() {
  const out = at("dist/site");
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  await build({ ...common, entryPoints: { app: at("page/main.ts"), ...WORKERS }, outdir: out });
  await build({ entryPoints: [at("page/style.css")], minify: true, outfile: join(out, "style.css"), logLevel: "warning" });
  const policy = await readFile(at("page/policy.txt"), "utf8");
  const html = (await readFile(at("page/index.html"), "utf8")).replace("%POLICY%", policy);
  await writeFile(join(out, "index.html"), html);
  for (const name of ["icon.svg", "page.webmanifest", "examples.json"]) {
    await cp(at("page", name), join(out, name));
  }
  await computing(out);

  const entries = await readdir(out, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => relative(out, join(entry.parentPath, entry.name))).sort();
  const hash = createHash("sha256");
  for (const name of files) hash.update(name).update(await readFile(join(out, name)));
  const sw = (await readFile(at("page/sw.js"), "utf8"))
    .replace("%FILES%", JSON.stringify(["./", ...files]))
    .replace("%VERSION%", hash.digest("hex").slice(0, 16));
  await writeFile(join(out, "sw.js"), sw);
  return out;
}

async function npmPackage() {
  const out = at("dist/package");
  await rm(out, { recursive: true, force: true });
  await build({ ...common, entryPoints: { index: at("package/src/index.ts"), ...WORKERS }, outdir: out });
  execFileSync(at("node_modules/.bin/tsc"), ["--project", at("package/tsconfig.json")], { stdio: "inherit" });
  await computing(out);
  for (const name of ["README.md", "package.json"]) await cp(at("package", name), join(out, name));
  for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) await cp(at("..", name), join(out, name));
}

/** Prints what each part weighs and fails if one is over its budget. */
async function weigh(out) {
  let over = false;
  const told = new Set();
  for (const { name, limit, files } of BUDGETS) {
    let sum = 0;
    for (const file of files) {
      const size = gzipSync(await readFile(join(out, file)), { level: 9 }).length / 1000;
      sum += size;
      if (!told.has(file)) console.log(`${file.padEnd(20)} ${size.toFixed(1).padStart(8)} kB gzipped`);
      told.add(file);
    }
    console.log(`${name.padEnd(20)} ${sum.toFixed(1).padStart(8)} kB gzipped, of ${limit} kB at most`);
    over ||= sum > limit;
  }
  if (over) {
    console.error("A part is over its budget (BUDGETS in web/build.mjs).");
    process.exitCode = 1;
  }
}

execFileSync(at("node_modules/.bin/tsc"), ["--project", at("tsconfig.json")], { stdio: "inherit" });
const out = await site();
await npmPackage();
await weigh(out);
