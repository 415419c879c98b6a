// Copies a failure as Markdown for an issue tracker. The server has written it, so that hostile text stays text.

import { airflow, el } from "./dom.js";
import { say } from "./text.js";

/** Nothing for a run that did not fail. */
export function copyButton(known) {
  if (!known.markdown) return null;
  return el("button", { type: "button", class: "copy", on: { click: () => copy(known.markdown) } }, say("copy.button"));
}

/** Without permission for the clipboard, as on plain http, the text is shown selected instead. */
async function copy(text) {
  try {
    // Airflow's frame around this page has no permission of its own; the page around the frame has it.
    await (airflow().defaultView || window).navigator.clipboard.writeText(text);
    announce(say("copy.done"));
  } catch {
    offer(text);
  }
}

/** Announces to screen readers, and shows the text for four seconds. */
function announce(text) {
  let region = document.getElementById("announcement");
  if (!region) {
    region = el("p", { id: "announcement", class: "announcement", role: "status" });
    document.body.append(region);
  }
  region.replaceChildren(text);
  setTimeout(() => region.replaceChildren(), 4000);
}

function offer(text) {
  const field = el("textarea", { "aria-label": say("copy.text") });
  field.value = text;
  field.readOnly = true;
  const box = el("dialog", { class: "offer", "aria-label": say("copy.button") },
    el("p", {}, say("copy.by_hand")), field,
    el("p", { class: "links" }, el("button", { type: "button", on: { click: () => box.close() } }, say("picture.close"))));
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  field.focus();
  field.select();
}
