// The page into dist/site and the npm package into dist/package, from TypeScript and dist/wasm.
// `cargo xtask web` builds dist/wasm first and then runs this.

import { createHash } from "node:crypto";
import { execFileSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = import.meta.dirname;
const at = (...parts) => join(here, ...parts);

/** What a visitor loads, gzipped, in kB: the parts that belong together and the most they may be. */
const BUDGETS = [{ name: "scoring", limit: 1200, files: ["index.html", "style.css", "app.js", "worker.js", "score_bg.wasm"] }];

const common = {
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  alias: { "#score": at("dist/wasm/score.js") },
  logLevel: "warning",
};

async function site() {
  const out = at("dist/site");
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  await build({ ...common, entryPoints: { app: at("page/main.ts"), worker: at("package/src/worker.ts") }, outdir: out });
  await build({ entryPoints: [at("page/style.css")], minify: true, outfile: join(out, "style.css"), logLevel: "warning" });
  const policy = await readFile(at("page/policy.txt"), "utf8");
  const html = (await readFile(at("page/index.html"), "utf8")).replace("%POLICY%", policy);
  await writeFile(join(out, "index.html"), html);
  for (const name of ["icon.svg", "page.webmanifest", "examples.json"]) {
    await cp(at("page", name), join(out, name));
  }
  await cp(at("dist/wasm/score_bg.wasm"), join(out, "score_bg.wasm"));

  const files = (await readdir(out, { recursive: true })).sort();
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
  await build({ ...common, entryPoints: { index: at("package/src/index.ts"), worker: at("package/src/worker.ts") }, outdir: out });
  execFileSync(at("node_modules/.bin/tsc"), ["--project", at("package/tsconfig.json")], { stdio: "inherit" });
  await cp(at("dist/wasm/score_bg.wasm"), join(out, "score_bg.wasm"));
  for (const name of ["README.md", "package.json"]) await cp(at("package", name), join(out, name));
  for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) await cp(at("..", name), join(out, name));
}

/** Prints what each part weighs and fails if one is over its budget. */
async function weigh(out) {
  let over = false;
  for (const { name, limit, files } of BUDGETS) {
    let sum = 0;
    for (const file of files) {
      const size = gzipSync(await readFile(join(out, file)), { level: 9 }).length / 1000;
      sum += size;
      console.log(`${file.padEnd(20)} ${size.toFixed(1).padStart(8)} kB gzipped`);
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
