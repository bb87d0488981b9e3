// What pages do beyond forms and links; all of them work without it.
"use strict";

// After an answer the eye, and the screen reader, go there.
const answer = document.getElementById("answer");
if (answer) answer.focus({ preventScroll: true });

// A second press must not ask twice.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    const button = event.submitter ?? form.querySelector("button");
    if (button) requestAnimationFrame(() => (button.disabled = true));
  });
}
// Coming back by the browser's history finds the buttons as they were.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button")) button.disabled = false;
});

// "/" leads to the search field, "j" and "k" from hit to hit.
const hits = [...document.querySelectorAll(".hit")];
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && typing) return typing.blur();
  if (typing) return;
  if (event.key === "/") {
    const field = document.getElementById("name");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  }
  const step = { j: 1, k: -1 }[event.key];
  if (step && hits.length) {
    const now = hits.indexOf(document.activeElement?.closest(".hit"));
    const next = hits[Math.min(Math.max(now + step, 0), hits.length - 1)];
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start", behavior: "smooth" });
  }
});
