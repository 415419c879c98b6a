// The tab of a DAG run: all tasks that have started test runs.

import { ask, ApiError } from "./api.js";
import { badge, el, empty, notice, plural, shares, show, tally, toAirflow, took } from "./dom.js";

const EVERY = 5000;
let known = null;

export async function start(dag, run) {
  await refresh(dag, run);
}

async function refresh(dag, run) {
  let failed = null;
  try {
    known = await ask(`dags/${encodeURIComponent(dag)}/dag-run`, { run_id: run });
  } catch (error) {
    if (!(error instanceof ApiError) || known === null || error.status) throw error;
    failed = error;
  }
  draw(dag, run, known.tasks, failed);
  if (failed || known.tasks.some((task) => !task.finished)) {
    const again = () => (document.hidden ? document.addEventListener("visibilitychange", again, { once: true }) : refresh(dag, run));
    setTimeout(again, EVERY);
  }
}

function draw(dag, run, tasks, failed) {
  if (!tasks.length) {
    show(empty("No test runs yet", "No task of this DAG run has started TesterArmy or Docket test runs.",
      el("p", {}, toAirflow("plugin/test-history", "View the history of all test runs"))));
    return;
  }
  const counts = {};
  for (const task of tasks) {
    for (const [kind, count] of Object.entries(task.counts)) {
      if (kind !== "total") counts[kind] = (counts[kind] || 0) + count;
    }
  }
  show(failed ? notice(`${failed.title}. ${failed.message}`, "bad") : null,
    el("header", { class: "head k-none" },
      el("div", { class: "titles" },
        el("h1", {}, el("span", { class: "what" }, `${plural(tasks.length, "test task")} in this DAG run`)),
        el("nav", { class: "links", "aria-label": "Links" }, toAirflow("plugin/test-history", "History"))),
      Object.keys(counts).length ? [shares(counts), tally(counts)] : null),
    el("ul", { class: "tasks" }, tasks.map((task) => item(dag, run, task))),
    tasks.length >= known.most ? el("p", { class: "dim" }, `Only the first ${known.most} test tasks are listed.`) : null);
}

/** The path of a task instance's tab in Airflow's UI. */
export function placeOf(task) {
  const mapped = task.map_index >= 0 ? `/mapped/${task.map_index}` : "";
  return `dags/${encodeURIComponent(task.dag_id)}/runs/${encodeURIComponent(task.run_id)}/tasks/${encodeURIComponent(task.task_id)}${mapped}/plugin/test-runs`;
}

export function nameOf(task) {
  return task.map_index >= 0 ? `${task.task_id} [${task.map_index}]` : task.task_id;
}

function item(dag, run, task) {
  const kind = task.verdict || (task.finished ? "" : "running");
  const facts = [task.group_title, task.seconds ? `took ${took(task.seconds)}` : "", task.issues ? plural(task.issues, "issue") : "",
    task.flaky ? `${task.flaky} flaky` : ""].filter(Boolean);
  return el("li", { class: `card task k-${kind || "none"}` },
    el("p", { class: "cardhead" }, badge(kind, task.verdict ? "" : task.finished ? "No verdict" : "Waiting"),
      toAirflow(placeOf(task), el("b", {}, nameOf(task)))),
    el("p", { class: "facts" }, facts.map((fact) => el("span", { dir: "auto" }, fact))),
    task.reasons.length ? el("ul", { class: "reasons" }, task.reasons.map((reason) => el("li", { dir: "auto" }, reason.replace(/ https:\/\/\S+$/, "")))) : null,
    task.more_reasons ? el("p", { class: "dim" }, `and ${plural(task.more_reasons, "more reason")}`) : null,
    task.verdict ? [shares(task.counts), tally(task.counts)] : null);
}
