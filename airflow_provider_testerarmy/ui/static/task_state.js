// What the task page knows: the latest overview, run details, the viewer's filters, and the rows that follow from them.

import { ORDER } from "./dom.js";
import { worded } from "./text.js";
import { titled } from "./live.js";
import { withRounds } from "./tries.js";

export const SHOWN_AT_ONCE = 50;
const BAD = ["failed", "errored", "unknown"];

export const state = {
  dag: "", query: {}, overview: null, details: new Map(), open: new Set(), only: "", words: "", most: SHOWN_AT_ONCE,
  notice: "", failed: null, asked: new Set(), answered: new Set(), first: "",
};

export function waits() {
  return state.overview !== null && !state.overview.task.finished;
}

export function active(outcome) {
  return outcome === "running" || outcome === "queued";
}

export function rows() {
  return ranked().map((row, place) => {
    const known = state.details.get(row.id);
    if (!known) return withRounds(titled(row, place));
    // Prefer the summary's title: it is the test's name, which the service's run object may lack.
    return withRounds(titled({ ...row, ...known, id: row.id, title: row.title || known.title, test_id: row.test_id || known.test_id, attempts: row.attempts || known.attempts, flaky: row.flaky || known.flaky }, place));
  });
}

/** Failures first, severe first. Details do not count: rows would move while they load. */
function ranked() {
  const { runs, task, summary } = state.overview;
  if (!task.finished) return runs;
  const worst = new Map();
  for (const issue of summary ? summary.issues : []) worst.set(issue.id, Math.max(worst.get(issue.id) ?? -1, issue.severity ?? -1));
  const severity = (row) => Math.max(row.worst ?? -1, worst.get(row.id) ?? -1);
  const place = (row) => ORDER.indexOf(row.outcome);
  return [...runs].sort((one, other) => place(one) - place(other) || severity(other) - severity(one));
}

/** The failed test that the page opens with. It stays the same one for as long as it counts as failed. */
export function firstBad() {
  const all = rows();
  const bad = all.filter((row) => BAD.includes(row.outcome));
  const found = waits() ? bad.find((row) => row.id === state.first) || bad[0] : bad[0];
  state.first = found ? found.id : "";
  return found || null;
}

export function matching() {
  const words = state.words.toLowerCase();
  return rows().filter((row) => {
    if (state.only === "flaky" ? !row.flaky : state.only && row.outcome !== state.only) return false;
    return !words || `${row.title} ${row.id}`.toLowerCase().includes(words);
  });
}

/** The counts that the verdict is based on; without a verdict, those of the list. */
export function counted() {
  const { summary } = state.overview;
  return summary && summary.verdict ? summary.counts : listed();
}

/** The outcomes of the list. A run without a known outcome counts as "". */
export function listed() {
  const counts = {};
  for (const row of rows()) counts[row.outcome] = (counts[row.outcome] || 0) + 1;
  return counts;
}

export function knownTests() {
  return state.overview.summary ? state.overview.summary.known : [];
}

/** Why details are missing. */
export function noticeText() {
  return worded(state.notice);
}
