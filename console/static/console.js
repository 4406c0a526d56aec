// What plain HTML cannot do: hold updates still, keep the feed short, tell a
// screen reader that the queue has changed, and lead the keyboard to a refusal.
"use strict";
(() => {
  const longest = 100; // rows of a feed
  let paused = false;

  for (const button of document.querySelectorAll("[data-pause]")) {
    button.addEventListener("click", () => {
      paused = !paused;
      button.setAttribute("aria-pressed", String(paused));
    });
  }

  const updates = (element) => element.closest("[sse-connect]") !== null;
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    if (paused) event.preventDefault();
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (paused && updates(event.target)) event.preventDefault();
  });
  // A region that holds the keyboard's focus is not pulled away from under it.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.contains(document.activeElement) && event.target.hasAttribute("hx-trigger")) {
      event.detail.shouldSwap = false;
    }
  });

  document.addEventListener("htmx:sseMessage", () => {
    for (const feed of document.querySelectorAll("[data-feed]")) {
      while (feed.children.length > longest) feed.lastElementChild.remove();
    }
  });

  let count = document.querySelector("[data-count]")?.dataset.count;
  document.addEventListener("htmx:afterSwap", () => {
    const now = document.querySelector("[data-count]");
    const say = document.querySelector("[data-announce]");
    if (now && say && now.dataset.count !== count) {
      count = now.dataset.count;
      say.textContent = now.textContent;
    }
  });

  document.querySelector("[data-focus]")?.focus();
})();
