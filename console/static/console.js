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

  // What cannot be refreshed stays, is greyed, and is said to be old. The part of the page
  // that asks for the state asks nothing of NATS: where it fails, the service is away.
  const lost = new Map(); // by the part's id, since when it is not refreshed
  const tell = () => {
    const silent = lost.get("state");
    const first = [...lost.values()].sort()[0];
    let text = "";
    if (silent) text = `The service has not answered since ${silent} UTC. What is shown is as of then.`;
    else if (first && !document.querySelector("[data-away]")) text = `The figures could not be refreshed since ${first} UTC: NATS does not answer.`;
    const say = document.querySelector("[data-gone]");
    if (say && say.textContent !== text) say.textContent = text;
    document.body.classList.toggle("stale", Boolean(first) || document.querySelector("[data-away]") !== null);
  };
  const failed = (event) => {
    const refused = event.type === "htmx:responseError" && event.detail.xhr.status < 500;
    if (refused || !["state", "numbers", "rows"].includes(event.target.id)) return;
    if (!lost.has(event.target.id)) lost.set(event.target.id, new Date().toISOString().slice(0, 19).replace("T", " "));
    tell();
  };
  for (const type of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) document.addEventListener(type, failed);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!event.detail.successful) return;
    lost.delete(event.target.id);
    tell();
  });
  document.addEventListener("htmx:afterSwap", tell);
  // The same state is not said again.
  let before = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.target.id !== "state" || event.detail.xhr.status !== 200) return;
    if (event.detail.serverResponse === before) event.detail.shouldSwap = false;
    before = event.detail.serverResponse;
  });

  document.querySelector("[data-focus]")?.focus();
})();
