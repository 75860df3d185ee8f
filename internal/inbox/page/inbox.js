"use strict";
// Keeps the page up to date. The server says only that something changed; the page then asks
// for itself, and takes over the elements that are marked data-live. Forms that a person
// may be writing in are not among them.
(() => {
  let running = false, again = false;
  const live = document.getElementById("live");

  function take(fresh) {
    for (const old of document.querySelectorAll("[data-live]")) {
      const now = fresh.getElementById(old.id);
      if (!now || now.outerHTML === old.outerHTML) continue;
      const focused = old.contains(document.activeElement) && document.activeElement.getAttribute("href");
      old.replaceWith(document.adoptNode(now));
      if (focused) now.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
  }

  async function refresh() {
    again = running;
    if (running) return;
    running = true;
    try {
      do {
        again = false;
        const answer = await fetch(location.pathname + location.search);
        if (answer.status === 404) return location.assign("/"); // the message was deleted
        if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      } while (again);
    } catch {
      // The sandbox has ended; the stream says so.
    } finally {
      running = false;
    }
  }

  function say(state, text) {
    live.className = state;
    live.textContent = text;
  }

  const stream = new EventSource("/events");
  stream.addEventListener("change", refresh);
  stream.addEventListener("open", () => say("on", "live"));
  stream.addEventListener("error", () => say("off", "the sandbox does not answer"));
})();
