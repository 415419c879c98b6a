// Follows the look of the surrounding Airflow page: its neutral colours, its font, and light or dark mode.
// Airflow passes no theme to a plugin view, so the values are read from the parent document.

import { airflow } from "./dom.js";

const FROM_AIRFLOW = {
  "--bg": "--chakra-colors-bg",
  "--panel": "--chakra-colors-bg-subtle",
  "--raised": "--chakra-colors-bg-muted",
  "--fg": "--chakra-colors-fg",
  "--dim": "--chakra-colors-fg-muted",
  "--line": "--chakra-colors-border-emphasized",
};

function follow() {
  const host = airflow();
  const ours = document.documentElement;
  if (host === document) {
    ours.classList.add("alone");
    ours.classList.toggle("dark", window.matchMedia("(prefers-color-scheme: dark)").matches);
    return;
  }
  ours.classList.toggle("dark", host.documentElement.classList.contains("dark"));
  const theirs = window.parent.getComputedStyle(host.documentElement);
  for (const [name, source] of Object.entries(FROM_AIRFLOW)) {
    const value = theirs.getPropertyValue(source).trim();
    if (value) ours.style.setProperty(name, value);
  }
  const type = window.parent.getComputedStyle(host.body).fontFamily;
  if (type) ours.style.setProperty("--type", type);
}

export function followTheme() {
  follow();
  const host = airflow();
  if (host === document) {
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
  } else {
    const watch = new MutationObserver(follow);
    watch.observe(host.documentElement, { attributes: true, attributeFilter: ["class", "style", "data-theme"] });
    window.addEventListener("pagehide", () => watch.disconnect());
  }
}
