// The tab of a DAG run: a table of all tasks that have started test runs, the worst first.

import { ask, ApiError } from "./api.js";
import { badge, commitOf, el, empty, notice, ORDER, shares, show, tally, toAirflow, took } from "./dom.js";
import { nameOf, placeOf } from "./places.js";
import { say } from "./text.js";

const EVERY = 5000;
/** Tasks without a verdict come after those that errored, and those that still wait before those that passed. */
const RANK = ["failed", "errored", "", ...ORDER.filter((kind) => !["failed", "errored", "passed", "running", "queued", ""].includes(kind)), "running", "passed"];
let known = null;
let asking = null;
let places = null;

export async function start(dag, run) {
  await refresh(dag, run);
}

async function refresh(dag, run) {
  asking?.abort();
  const current = new AbortController();
  asking = current;
  let failed = null;
  try {
    const found = await ask(`dags/${encodeURIComponent(dag)}/dag-run`, { run_id: run }, current.signal);
    if (current !== asking) return;
    known = found;
  } catch (error) {
    if (current !== asking || error.name === "AbortError") return;
    if (!(error instanceof ApiError) || known === null || error.status) throw error;
    failed = error;
  }
  draw(known.tasks, failed);
  if (failed || known.tasks.some((task) => !task.finished)) {
    const again = () => (document.hidden ? document.addEventListener("visibilitychange", again, { once: true }) : refresh(dag, run));
    setTimeout(again, EVERY);
  }
}

function kindOf(task) {
  return task.verdict || (task.finished ? "" : "running");
}

/** The worst first. While somebody reads a row, all rows keep their places: a row that moves loses focus and selection. */
function ordered(tasks) {
  const rank = (task) => RANK.indexOf(kindOf(task));
  const sorted = [...tasks].sort((one, other) => rank(one) - rank(other));
  if (places && isRead()) {
    const place = (task) => places.get(idOf(task)) ?? places.size;
    sorted.sort((one, other) => place(one) - place(other));
  }
  places = new Map(sorted.map((task, number) => [idOf(task), number]));
  return sorted;
}

function isRead() {
  const page = document.getElementById("page");
  const chosen = document.getSelection();
  return page.contains(document.activeElement) || (!chosen.isCollapsed && page.contains(chosen.anchorNode)) || page.querySelector("tr:hover") !== null;
}

function idOf(task) {
  return `task-${task.task_id}.${task.map_index}`;
}

function draw(tasks, failed) {
  if (!tasks.length) {
    show(empty(say("dagrun.none"), say("dagrun.none.more"), el("p", {}, toAirflow("plugin/test-history", say("dagrun.all_history")))));
    return;
  }
  const counts = {};
  for (const task of tasks) {
    for (const [kind, count] of Object.entries(task.counts)) {
      if (kind !== "total") counts[kind] = (counts[kind] || 0) + count;
    }
  }
  const sorted = ordered(tasks);
  show(failed ? notice(`${failed.title}. ${failed.message}`, "bad") : null,
    el("header", { class: `head k-${RANK.find((kind) => tasks.some((task) => kindOf(task) === kind)) || "none"}` },
      el("div", { class: "titles" },
        el("h1", {}, el("span", { class: "what" }, say("dagrun.heading", { count: tasks.length }))),
        el("nav", { class: "links", "aria-label": say("page.links") }, toAirflow("plugin/test-history", say("dagrun.history")))),
      Object.keys(counts).length ? [shares(counts), tally(counts)] : null),
    el("section", { "aria-label": say("dagrun.tasks") },
      el("table", { class: "stacked tests-of-run" },
        el("thead", {}, el("tr", {}, ["verdict", "task", "reason", "runs", "duration"].map((name) => el("th", { scope: "col" }, say(`dagrun.column.${name}`))))),
        el("tbody", {}, sorted.map(item)))),
    tasks.length >= known.most ? el("p", { class: "dim" }, say("dagrun.cut", { count: known.most })) : null);
}

function item(task) {
  const kind = kindOf(task);
  const word = task.verdict ? "" : say(task.finished ? "verdict.none" : "verdict.waiting");
  const more = task.reasons.length + task.more_reasons - (task.telling ? 1 : 0);
  // The only reason of a passed task repeats its counts.
  const telling = kind === "passed" && !more && !task.issues ? "" : task.telling;
  return el("tr", { class: "task", id: idOf(task) },
    el("td", {}, badge(kind, word)),
    el("th", { scope: "row" }, toAirflow(placeOf(task), nameOf(task)),
      task.group_title === task.task_id ? null : el("span", { class: "dim block", dir: "auto" }, task.group_title),
      task.environment ? el("span", { class: "dim block", dir: "auto" }, task.environment) : null,
      task.commit ? el("span", { class: "dim block" }, commitOf(task.commit, task.commit_url)) : null),
    el("td", { class: "why" }, telling ? el("span", { dir: "auto" }, telling.replace(/ https:\/\/\S+$/, "")) : null,
      more > 0 && kind !== "passed" ? el("span", { class: "dim block" }, say("dagrun.more_reasons", { count: more })) : null),
    el("td", {}, Object.keys(task.counts).length ? tally(task.counts) : null,
      task.issues || task.flaky ? el("span", { class: "dim block" }, [task.issues ? say("dagrun.issues", { count: task.issues }) : "",
        task.flaky ? say("history.flaky_runs", { count: task.flaky }) : ""].filter(Boolean).join(" · ")) : null),
    el("td", { class: "number" }, took(task.seconds)));
}
