// The tab of a task instance: loads its data, keeps it current, and draws the page.

import { actions, loadActions } from "./actions.js";
import { ask, ApiError } from "./api.js";
import { el, empty, notice, show, toAirflow } from "./dom.js";
import { firstFailure } from "./first_failure.js";
import { live, loadLive } from "./live.js";
import { linked, loadMemory, unreachable } from "./memory.js";
import { Order } from "./order.js";
import { runList } from "./run_list.js";
import { active, firstBad, matching, rows, SHOWN_AT_ONCE, state, waits } from "./task_state.js";
import { say } from "./text.js";
import { loadTries, tries } from "./tries.js";
import { head, issues, reasons, reportPaths } from "./verdict.js";

const PAGE = 50;
const EVERY = 5000;
const order = new Order();
/** The timer and the requests of the latest refresh, and the try whose details were requested. */
const latest = { timer: 0, requests: new AbortController(), stamp: "" };
const act = { draw, load: () => load(wanted()), toggle, jump };

export async function start(dag, run, task, index) {
  // For a task that is not mapped, Airflow leaves the placeholder {MAP_INDEX} in the URL.
  const mapped = /^\d+$/.test(index || "") ? Number(index) : -1;
  state.dag = dag;
  state.query = { run_id: run, task_id: task, map_index: mapped };
  // Before the first refresh, which waits for details: the service may be slow.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && waits()) refresh();
  });
  await refresh();
}

async function refresh() {
  clearTimeout(latest.timer);
  latest.requests.abort();
  latest.requests = new AbortController();
  const { signal } = latest.requests;
  let fresh = false;
  try {
    const overview = await ask(`dags/${encodeURIComponent(state.dag)}/task`, state.query, signal);
    if (signal.aborted) return;
    fresh = keepOverview(overview);
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) throw error;
    // While the API server restarts, keep the current content.
    if (state.overview === null || error.status) throw error;
    state.failed = error;
  }
  draw();
  if (!state.failed && state.overview.kind === "tests") loadBeside(fresh);
  await load(wanted(), signal);
  if (!signal.aborted && (waits() || state.failed)) {
    latest.timer = setTimeout(() => (document.hidden ? undefined : refresh()), EVERY);
  }
}

/** What is loaded beside the details: the memory may be on a mount that is slow. */
function loadBeside(fresh) {
  if (fresh) loadMemory(state.dag, state.query, draw);
  if (fresh) loadTries(state.dag, state.query, draw);
  if (waits()) loadLive(state.dag, state.query, draw);
  loadActions(state.dag, state.query, state.overview.task, draw, refresh);
}

/** Stores the overview. True after a new try or the end of the task: then all details are requested again. */
function keepOverview(overview) {
  const stamp = `${overview.task.try_number} ${overview.task.finished}`;
  const fresh = stamp !== latest.stamp;
  if (fresh) {
    state.asked.clear();
    state.answered.clear();
  }
  latest.stamp = stamp;
  state.overview = overview;
  state.failed = null;
  return fresh && overview.kind === "tests";
}

/** The ids of the visible rows to load: those without details, and those that are still active. */
function wanted() {
  if (state.overview.kind !== "tests" || state.overview.source === "summary") return [];
  const first = firstBad();
  // A report has the outcome of every run, so only the run that the page opens with is read from it.
  const listed = state.overview.source === "service" ? matching().slice(0, state.most) : [];
  return [...new Set([...(first ? [first.id] : []), ...listed.map((row) => row.id)])].filter((id) => {
    const known = state.details.get(id);
    if (known && !active(known.outcome)) return false;
    return waits() || !state.asked.has(id);
  });
}

/** Loads details. A refresh aborts the requests of the one before; what the viewer opened is never aborted. */
async function load(ids, signal = undefined) {
  const { stamp } = latest;
  for (let from = 0; from < ids.length; from += PAGE) {
    const page = ids.slice(from, from + PAGE);
    const number = order.next();
    page.forEach((id) => state.asked.add(id));
    try {
      const answer = await ask(`dags/${encodeURIComponent(state.dag)}/runs`, { ...state.query, run: page }, signal);
      if (signal?.aborted) throw new DOMException("", "AbortError");
      // The answer is about an earlier try.
      if (stamp !== latest.stamp) return;
      for (const [id, detail] of Object.entries(answer.runs)) keep(id, detail, number);
      if (order.take("notice", number)) state.notice = answer.notice;
      page.forEach((id) => state.answered.add(id));
    } catch (error) {
      if (error.name === "AbortError") {
        page.forEach((id) => state.asked.delete(id));
        return;
      }
      if (!(error instanceof ApiError)) throw error;
      if (stamp !== latest.stamp) return;
      if (order.take("notice", number)) state.notice = error.message;
    }
    draw();
    if (state.notice) break;
  }
}

/** Stores details, unless they are older, or say "active" about a run that is already known to be finished. */
function keep(id, detail, number) {
  const known = state.details.get(id);
  if (known && !active(known.outcome) && active(detail.outcome)) return;
  if (order.take(`run ${id}`, number)) state.details.set(id, detail);
}

async function toggle(id, open) {
  if (open) state.open.add(id);
  else state.open.delete(id);
  draw();
  if (!open) return;
  const missing = linked(id, rows()).filter((one) => !state.details.has(one));
  if (missing.length) await load(missing);
}

async function jump(id) {
  state.only = "";
  state.words = "";
  const place = rows().findIndex((row) => row.id === id);
  state.most = Math.max(state.most, place + 1, SHOWN_AT_ONCE);
  await toggle(id, true);
  const node = document.getElementById(`run-${id}`);
  if (node) {
    node.scrollIntoView({ block: "start" });
    node.querySelector("button").focus({ preventScroll: true });
  }
}

function draw() {
  if (state.overview.kind !== "tests") {
    show(empty(say("task.none"), say("task.none.more"), el("p", {}, toAirflow("plugin/test-history", say("task.none.history")))));
    return;
  }
  show(
    state.failed ? notice(`${state.failed.title}. ${state.failed.message}`, "bad") : null,
    head(), live(state.overview.task), actions(rows()), tries(state.overview.task), unreachable(), firstFailure(act), reasons(), issues(act), runList(act), reportPaths());
}
