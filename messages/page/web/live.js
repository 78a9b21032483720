"use strict";
// Puts figures in the place of older ones while the page is open. Without it, the page is as of when it was loaded.
(() => {
  if (!document.querySelector("[data-live]") || !("EventSource" in window)) return;
  const source = new EventSource("/live");
  source.addEventListener("figures", (event) => {
    const told = JSON.parse(event.data);
    told.values.forEach((value, n) => {
      const cell = document.querySelector(`[data-figure="${n}"]`);
      if (cell && cell.textContent !== value) cell.textContent = value;
    });
    const asOf = document.querySelector("[data-as-of]");
    if (!asOf) return;
    asOf.textContent = `As of ${told.as_of}.`;
    if (asOf.nextElementSibling) return;
    const note = document.createElement("span");
    note.className = "on-screen";
    note.textContent = " The figures keep themselves up to date.";
    asOf.after(note);
  });
  window.addEventListener("pagehide", () => source.close());
})();
