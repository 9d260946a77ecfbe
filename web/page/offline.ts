// After the first visit the page is there without a network: scoring at once, writing after the
// demo's models have been loaded once.

import { byId, make, say } from "./dom.ts";
import { notice } from "./notice.ts";

const place = byId("offline");

export async function workOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    place.textContent = "This browser keeps no copy of the page; it needs the network to open it.";
    return;
  }
  navigator.serviceWorker.addEventListener("message", (event: MessageEvent<{ lacking: number }>) => {
    say(place, event.data.lacking === 0 ? "Both tabs also open without a network." : "Score also opens without a network; Write will, once the demo’s models have been loaded.");
  });
  try {
    const registration = await navigator.serviceWorker.register(new URL("sw.js", document.baseURI));
    registration.addEventListener("updatefound", () => {
      const coming = registration.installing;
      coming?.addEventListener("statechange", () => {
        if (coming.state === "installed" && navigator.serviceWorker.controller) offer(coming);
      });
    });
    if (registration.waiting && navigator.serviceWorker.controller) offer(registration.waiting);
    tell("what is lacking?");
  } catch {
    place.textContent = "This page could not be kept for use without a network.";
  }
}

/** The demo's models are wanted: whatever else writing needs is kept with them. */
export function keepWriting(): void {
  tell("keep the rest");
}

function tell(words: string): void {
  navigator.serviceWorker?.ready.then(({ active }) => active?.postMessage(words), () => {});
}

function offer(coming: ServiceWorker): void {
  const reload = make("button", { type: "button" }, "Reload");
  reload.addEventListener("click", () => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    coming.postMessage("take over");
  });
  notice("A new version of this page is ready.", reload);
}
