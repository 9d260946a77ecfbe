// After the first visit the page is there without a network.

import { byId, make } from "./dom.ts";
import { notice } from "./notice.ts";

export async function workOffline(): Promise<void> {
  const place = byId("offline");
  if (!("serviceWorker" in navigator)) {
    place.textContent = "This browser keeps no copy of the page; it needs the network to open it.";
    return;
  }
  try {
    const registration = await navigator.serviceWorker.register(new URL("sw.js", document.baseURI));
    registration.addEventListener("updatefound", () => {
      const coming = registration.installing;
      coming?.addEventListener("statechange", () => {
        if (coming.state === "installed" && navigator.serviceWorker.controller) offer(coming);
      });
    });
    if (registration.waiting && navigator.serviceWorker.controller) offer(registration.waiting);
    await navigator.serviceWorker.ready;
    place.textContent = "This page also opens without a network.";
  } catch {
    place.textContent = "This page could not be kept for use without a network.";
  }
}

function offer(coming: ServiceWorker): void {
  const reload = make("button", { type: "button" }, "Reload");
  reload.addEventListener("click", () => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    coming.postMessage("take over");
  });
  notice("A new version of this page is ready.", reload);
}
