// The list of a task's runs: search, filters, and one row per run.

import { badge, el, notice, ORDER, took } from "./dom.js";
import { chips } from "./memory.js";
import { detail, lane } from "./run_detail.js";
import { counted, knownTests, listed, matching, noticeText, rows, SHOWN_AT_ONCE, state } from "./task_state.js";
import { number, say } from "./text.js";

export function runList(act) {
  const { overview } = state;
  if (!overview.total) return null;
  const found = matching();
  const span = timespan();
  const shown = found.slice(0, state.most);
  const left = found.length - shown.length;
  return el("section", { "aria-labelledby": "runs" },
    el("div", { class: "bar" },
      el("h2", { id: "runs" }, say("runs.heading"), " ", el("span", { class: "dim" }, number(overview.total))),
      overview.total > 8 ? search(act) : null),
    notice(noticeText()),
    overview.total > 1 ? filters(act) : null,
    el("ul", { class: "runs" }, shown.map((row) => item(row, span, act))),
    found.length ? null : el("p", { class: "dim" }, `${say("runs.no_match")}${unnamed()}`),
    left > 0 ? el("p", { class: "more" }, el("button", { type: "button", id: "more", on: { click: () => more(act) } },
      say("runs.show_more", { count: left, some: Math.min(SHOWN_AT_ONCE, left), left }))) : null);
}

/** Without a report, most runs of a large group have no name until their details are loaded. */
function unnamed() {
  const count = rows().filter((row) => !row.outcome).length;
  return count ? ` ${say("runs.unnamed", { count })}` : "";
}

async function more(act) {
  state.most += SHOWN_AT_ONCE;
  act.draw();
  await act.load();
}

function search(act) {
  return el("input", {
    type: "search", id: "words", value: state.words, placeholder: say("runs.search"), "aria-label": say("runs.search.label"),
    on: { input: (event) => { state.words = event.target.value; state.most = SHOWN_AT_ONCE; act.draw(); } },
  });
}

function filters(act) {
  const counts = { ...listed(), flaky: rows().filter((row) => row.flaky).length };
  // Without a report, the outcomes of some runs of a large group are unknown until their details are loaded.
  const all = counts[""] ? { ...counted(), flaky: state.overview.summary ? state.overview.summary.flaky : 0 } : {};
  const amount = (kind) => (all[kind] > counts[kind] ? say("runs.of", { some: counts[kind], all: all[kind] }) : number(counts[kind]));
  const kinds = [...ORDER.filter((kind) => kind && counts[kind]), ...(counts.flaky ? ["flaky"] : [])];
  if (kinds.length < 2) return null;
  const choice = (kind, text) => el("button", {
    type: "button", id: `only-${kind || "all"}`, class: "choice", "aria-pressed": state.only === kind ? "true" : "false",
    on: { click: () => { state.only = kind; state.most = SHOWN_AT_ONCE; act.draw(); act.load(); } },
  }, text);
  return el("div", { class: "choices", role: "group", "aria-label": say("runs.filter") },
    choice("", say("runs.all")), kinds.map((kind) => choice(kind, `${say(`outcome.${kind}`)} ${amount(kind)}`)));
}

function timespan() {
  const times = rows().filter((row) => row.started && row.ended && row.ended >= row.started);
  if (times.length < 2) return null;
  const from = times.reduce((least, row) => Math.min(least, row.started), Infinity);
  const to = times.reduce((most, row) => Math.max(most, row.ended), 0);
  return to > from ? { from, to } : null;
}

function item(row, span, act) {
  const open = state.open.has(row.id);
  return el("li", { id: `run-${row.id}`, class: `run k-${row.outcome || "none"}` },
    el("h3", {}, el("button", {
      type: "button", class: "row", id: `row-${row.id}`, "aria-expanded": String(open), on: { click: () => act.toggle(row.id, !state.open.has(row.id)) },
    },
    el("span", { class: "fold", "aria-hidden": "true" }),
    badge(row.outcome, row.outcome ? "" : say("outcome.none")),
    el("span", { class: "title", dir: "auto" }, row.title || say("runs.untitled", { id: row.id })),
    el("span", { class: "flags" }, chips(row, knownTests()), row.flaky ? el("span", { class: "chip" }, say("outcome.flaky")) : null,
      row.issues ? el("span", { class: "chip" }, say("runs.issues", { count: row.issues })) : null),
    el("span", { class: "took" }, took(row.seconds), track(row, span)))),
    open ? detail(row, state.details.get(row.id)) : null);
}

function track(row, span) {
  if (!span || !row.started || !row.ended || row.ended < row.started) return null;
  const whole = span.to - span.from;
  return lane(((row.started - span.from) / whole) * 100, ((row.ended - row.started) / whole) * 100);
}
