// Picks the page to show from the URL, whose placeholders Airflow has filled in.

import "./address.js";
import { ApiError } from "./api.js";
import { empty, show } from "./dom.js";
import { has, loadTexts, say } from "./text.js";
import { followTheme } from "./theme.js";

const PAGES = { task: "./task.js", "dag-run": "./dagrun.js", history: "./history.js" };

async function start() {
  followTheme();
  await loadTexts();
  const [view, ...parts] = window.location.pathname.split("/view/").slice(1).join("/view/").split("/");
  const names = parts.map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  const page = await import(PAGES[view] || PAGES.history);
  await page.start(...names);
}

function fail(error) {
  if (!has("page.broken")) {
    const page = document.getElementById("page");
    page.textContent = page.dataset.failed;
    console.error(error);
    return;
  }
  const refused = error instanceof ApiError;
  show(empty(refused ? error.title : say("page.broken"), refused ? error.message : say("page.broken.more")));
  if (!refused) console.error(error);
}

// A later request may be refused as well, for example once the session has ended: what is shown may not be true any more.
window.addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof ApiError)) return;
  event.preventDefault();
  fail(event.reason);
});

start().catch(fail);
