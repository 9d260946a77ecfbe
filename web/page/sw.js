// The service worker: keeps one version of the page, whole. The build writes in the names of the
// page's files and a hash of them all.

const FILES = %FILES%;
const CACHE = "rarebit-page-%VERSION%";

/** What only writing needs is kept when it is first asked for: whoever scores texts fetches none of it. */
const LATER = FILES.filter((file) => file.startsWith("models"));
const later = new Set(LATER.map((file) => new URL(file, self.location.href).pathname));

self.addEventListener("install", (event) => {
  const fill = async () => {
    // What this visitor had of the last version is renewed with it.
    const had = await Promise.all(LATER.map((file) => caches.match(file, { ignoreSearch: true })));
    const wanted = FILES.filter((file) => !LATER.includes(file) || had[LATER.indexOf(file)]);
    await keep(wanted);
  };
  event.waitUntil(fill());
});

/** Fetches files into the cache. */
async function keep(files) {
  const cache = await caches.open(CACHE);
  // `reload` passes the browser's own cache by, so that no old file is kept under a new version.
  await cache.addAll(files.map((file) => new Request(file, { cache: "reload" })));
}

/** What writing needs and is not kept yet. */
async function lacking() {
  const cache = await caches.open(CACHE);
  const had = await Promise.all(LATER.map((file) => cache.match(file)));
  return LATER.filter((_, i) => !had[i]);
}

self.addEventListener("activate", (event) => {
  const tidy = async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith("rarebit-page-") && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
  const answer = (files) => event.source?.postMessage({ lacking: files.length });
  if (event.data === "what is lacking?") event.waitUntil(lacking().then(answer));
  if (event.data === "keep the rest") {
    const rest = async () => {
      await keep(await lacking()).catch(() => {});
      answer(await lacking());
    };
    event.waitUntil(rest());
  }
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== self.location.origin || (request.method !== "GET" && request.method !== "HEAD")) return;
  const answer = async () => {
    const cache = await caches.open(CACHE);
    const kept = await cache.match(request, { ignoreSearch: true, ignoreMethod: true });
    if (kept) return request.method === "HEAD" ? new Response(null, { headers: kept.headers }) : kept;
    const response = await fetch(request);
    if (request.method === "GET" && response.status === 200 && later.has(pathname)) event.waitUntil(cache.put(pathname, response.clone()));
    return response;
  };
  event.respondWith(answer());
});
