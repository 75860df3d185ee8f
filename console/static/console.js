// Updates the parts of a page that have an id in data-live. What has not changed is left alone, so that
// a reader's place and selection stay.
"use strict";
(function () {
  const url = document.body.dataset.stream;
  if (!url || !window.EventSource) {
    return;
  }
  const stale = document.getElementById("stale");
  const source = new EventSource(url);
  source.onopen = function () { stale.hidden = true; };
  source.onerror = function () { stale.hidden = false; };
  source.addEventListener("ended", function () { source.close(); location.assign("/login"); });
  source.onmessage = function (event) {
    const fresh = new DOMParser().parseFromString(event.data, "text/html");
    for (const part of fresh.querySelectorAll("[data-live]")) {
      const old = document.querySelector("[data-live=" + JSON.stringify(part.dataset.live) + "]");
      if (old && (old.innerHTML !== part.innerHTML || old.className !== part.className)) {
        old.className = part.className;
        old.replaceChildren(...part.childNodes);
      }
    }
    document.body.dataset.updates = Number(document.body.dataset.updates || 0) + 1;
  };
})();
