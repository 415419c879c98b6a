// The view in the address that the viewer sees and can send to others: Airflow's, when this page is inside Airflow.
// Airflow 3.3 puts the iframe's path and query behind its own path, and opens the iframe with them when such an address
// is loaded or the viewer goes back to it (measured). A query at its own path is dropped as soon as the iframe has loaded.

import { airflow } from "./dom.js";

/** The query before Airflow drops it: main.js imports this module before anything waits. */
let opened = new URLSearchParams(outer().location.search);

function outer() {
  return airflow().defaultView || window;
}

/** The values of these names in the address. */
export function readAddress(names) {
  const given = new URLSearchParams(outer().location.search);
  const own = new URLSearchParams(window.location.search);
  const found = names.map((name) => [name, given.get(name) ?? own.get(name) ?? opened.get(name) ?? ""]);
  opened = new URLSearchParams();
  return Object.fromEntries(found.filter(([, value]) => value));
}

/** The address with these values in place of its own; an empty value is left out. */
export function addressWith(values) {
  const url = new URL(outer().location.href);
  for (const [name, value] of Object.entries(values)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  return url;
}

/** Puts the values into the address: as a new step for the browser's back button, or in place of the last one. */
export function writeAddress(values, { replace = false } = {}) {
  const view = outer();
  const url = addressWith(values);
  if (url.href === view.location.href) return;
  // The state is the router's own: without it, its next step back would be lost.
  if (replace) view.history.replaceState(view.history.state, "", url);
  else view.history.pushState(view.history.state, "", url);
}

/** Calls `act` when the viewer goes back or forward to another view of this page, unless Airflow loads it again then. */
export function onAddress(act) {
  const view = outer();
  const path = view.location.pathname;
  const moved = () => { if (view.location.pathname === path) act(); };
  view.addEventListener("popstate", moved);
  window.addEventListener("pagehide", () => view.removeEventListener("popstate", moved));
}
