// The tab of a task instance: the verdict and its reasons, the issues, and every run.

import { address, ask, ApiError } from "./api.js";
import {
  badge, capital, el, empty, moment, notice, opening, ORDER, outward, plural, severity, shares, show, SIGNS, tally, toAirflow, took,
} from "./dom.js";
import { attempts, chips, linked, loadMemory, memoryOf, unreachable } from "./memory.js";

const PAGE = 50;
const EVERY = 5000;
const SHOWN_AT_ONCE = 50;

/** The page's state: the latest overview, run details by id, filters, and which requests were sent. */
const state = {
  dag: "", query: {}, overview: null, details: new Map(), open: new Set(), only: "", words: "", most: SHOWN_AT_ONCE,
  notice: "", failed: null, timer: 0, asked: new Set(), answered: new Set(), stamp: "", turn: 0,
};

export async function start(dag, run, task, index) {
  // For a task that is not mapped, Airflow leaves the placeholder {MAP_INDEX} in the URL.
  const mapped = /^\d+$/.test(index || "") ? Number(index) : -1;
  state.dag = dag;
  state.query = { run_id: run, task_id: task, map_index: mapped };
  await refresh();
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && waits()) refresh();
  });
}

function waits() {
  return state.overview !== null && !state.overview.task.finished;
}

async function refresh() {
  clearTimeout(state.timer);
  state.turn += 1;
  const { turn } = state;
  let fresh = false;
  try {
    const overview = await ask(`dags/${encodeURIComponent(state.dag)}/task`, state.query);
    // A later refresh has started, and its response is newer.
    if (turn !== state.turn) return;
    // A new try or a finished task: request all details again.
    const stamp = `${overview.task.try_number} ${overview.task.finished}`;
    if (stamp !== state.stamp) {
      state.stamp = stamp;
      state.asked.clear();
      state.answered.clear();
      fresh = overview.kind === "tests";
    }
    state.overview = overview;
    state.failed = null;
  } catch (error) {
    if (turn !== state.turn) return;
    if (!(error instanceof ApiError)) throw error;
    // While the API server restarts, keep the current content.
    if (state.overview === null || error.status) throw error;
    state.failed = error;
  }
  draw();
  // Beside the details: the memory may be on a mount that is slow.
  if (fresh) loadMemory(state.dag, state.query, draw);
  await load(wanted());
  if (turn === state.turn && (waits() || state.failed)) {
    state.timer = setTimeout(() => (document.hidden ? undefined : refresh()), EVERY);
  }
}

/** The ids of the visible rows to load: those without details, and those that are still active. */
function wanted() {
  if (state.overview.kind !== "tests" || state.overview.source !== "service") return [];
  return matching().slice(0, state.most).map((row) => row.id).filter((id) => {
    const known = state.details.get(id);
    if (known && !active(known.outcome)) return false;
    return waits() || !state.asked.has(id);
  });
}

function active(outcome) {
  return outcome === "running" || outcome === "queued";
}

async function load(ids) {
  const pages = [];
  for (let from = 0; from < ids.length; from += PAGE) pages.push(ids.slice(from, from + PAGE));
  for (const page of pages) {
    page.forEach((id) => state.asked.add(id));
    try {
      const answer = await ask(`dags/${encodeURIComponent(state.dag)}/runs`, { ...state.query, run: page });
      for (const [id, detail] of Object.entries(answer.runs)) keep(id, detail);
      state.notice = answer.notice;
      page.forEach((id) => state.answered.add(id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      state.notice = error.message;
    }
    draw();
    if (state.notice) break;
  }
}

/** Stores details, unless a late response says "active" about a run that is already known to be finished. */
function keep(id, detail) {
  const known = state.details.get(id);
  if (!known || active(known.outcome) || !active(detail.outcome)) state.details.set(id, detail);
}

// -- the rows

function rows() {
  return state.overview.runs.map((row) => {
    const known = state.details.get(row.id);
    if (!known) return row;
    // Prefer the summary's title: it is the test's name, which the service's run object may lack.
    return { ...row, ...known, id: row.id, title: row.title || known.title, test_id: row.test_id || known.test_id, attempts: row.attempts || known.attempts, flaky: row.flaky || known.flaky };
  });
}

function matching() {
  const words = state.words.toLowerCase();
  return rows().filter((row) => {
    if (state.only === "flaky" ? !row.flaky : state.only && row.outcome !== state.only) return false;
    return !words || `${row.title} ${row.id}`.toLowerCase().includes(words);
  });
}

/** The counts that the verdict is based on; without a verdict, those of the list. */
function counted() {
  const { summary } = state.overview;
  return summary && summary.verdict ? summary.counts : listed();
}

/** The outcomes of the list. A run without a known outcome counts as "". */
function listed() {
  const counts = {};
  for (const row of rows()) counts[row.outcome] = (counts[row.outcome] || 0) + 1;
  return counts;
}

/** Runs may change after the verdict, for example those that a time-out left active. The list shows them as they are now. */
function changed(counts) {
  const now = listed();
  if (now[""] || ORDER.every((kind) => (now[kind] || 0) === (counts[kind] || 0))) return null;
  const words = ORDER.filter((kind) => now[kind]).map((kind) => `${now[kind].toLocaleString("en")} ${kind}`).join(", ");
  return el("p", { class: "dim" }, `These outcomes were judged. Runs have changed since then, and are now: ${words.replaceAll("_", " ")}.`);
}

// -- drawing

function draw() {
  const { overview } = state;
  if (overview.kind !== "tests") {
    show(empty("No test runs here", "This task has not started any TesterArmy or Docket test runs.",
      el("p", {}, toAirflow("plugin/test-history", "View the history of all test runs"))));
    return;
  }
  show(
    state.failed ? notice(`${state.failed.title}. ${state.failed.message}`, "bad") : null,
    head(), unreachable(), reasons(), issues(), runs());
}

function head() {
  const { overview } = state;
  const { summary, task } = overview;
  const counts = counted();
  const kind = summary && summary.verdict ? summary.verdict : task.finished ? "" : "running";
  const word = summary && summary.verdict ? capital(summary.verdict) : task.finished ? (summary ? "Started" : "No verdict") : "Waiting";
  const facts = [
    overview.label ? `Ran ${overview.label}` : overview.given ? "Waited for runs that another task started" : "",
    summary && summary.started ? `started ${moment(summary.started)}` : task.started ? `started ${moment(task.started)}` : "",
    summary && summary.started && summary.ended ? `took ${took(summary.ended - summary.started)}` : "",
    summary && summary.flaky ? `${summary.flaky} flaky` : "",
    task.try_number > 1 ? `try ${task.try_number}` : "",
  ].filter(Boolean);
  const links = [
    overview.url ? outward(overview.url, "Dashboard") : null,
    ...overview.reports.filter((report) => report.opens).map((report) => opening(
      address(`dags/${encodeURIComponent(state.dag)}/report`, { ...state.query, index: String(report.index) }), "HTML report")),
    toAirflow("plugin/test-history", "History"),
  ];
  return el("header", { class: `head k-${kind || "none"}` },
    el("div", { class: "titles" },
      el("h1", {}, el("span", { class: "verdict" }, SIGNS[kind] ? el("span", { "aria-hidden": "true" }, `${SIGNS[kind]} `) : null, word),
        " · ", el("span", { class: "what", dir: "auto" }, overview.group_title)),
      el("nav", { class: "links", "aria-label": "Links" }, links)),
    el("p", { class: "facts" }, facts.map((fact) => el("span", { dir: "auto" }, fact))),
    Object.keys(counts).length ? [shares(counts), tally(counts), changed(counts)] : null,
    reportPaths(overview.reports));
}

function reportPaths(reports) {
  if (!reports.length) return null;
  return el("p", { class: "facts paths" }, "Reports: ", reports.map((report) => el("span", {}, el("code", {}, report.path), report.note ? ` (${report.note})` : "")));
}

function reasons() {
  const { summary, task } = state.overview;
  if (!summary) {
    if (task.state === "success" && state.overview.total) {
      return notice("The task succeeded, but its verdict is unknown: it pushed no summary to XCom (do_xcom_push=False).");
    }
    return why();
  }
  if (!summary.reasons.length) return null;
  return el("section", { "aria-labelledby": "why" }, el("h2", { id: "why" }, "Reasons"),
    el("ul", { class: "reasons" }, summary.reasons.map((reason) => el("li", { dir: "auto" }, plain(reason)))),
    summary.more_reasons ? el("p", { class: "dim" }, `and ${plural(summary.more_reasons, "more reason")}`) : null);
}

/** Why there is no verdict. Tasks of earlier versions of the provider have not said it. */
function why() {
  const { reason, task, total } = state.overview;
  if (!task.finished) return reason ? notice(`The last try failed: ${plain(reason)}`) : null;
  if (reason) return notice(total ? `The task ended without a verdict: ${plain(reason)}` : plain(reason), "bad");
  return notice(total
    ? "The task ended without a verdict: it was stopped, timed out or failed before the runs were judged. See its log for the reason."
    : "This task did not say which runs it started, if any. See its log for the reason.");
}

/** A reason ends with the run's URL; the run's row already links to it. */
function plain(reason) {
  return reason.replace(/ https:\/\/\S+$/, "");
}

function issues() {
  const { summary } = state.overview;
  if (!summary || !summary.issues.length) return null;
  return el("section", { "aria-labelledby": "issues" },
    el("h2", { id: "issues" }, "Issues ", el("span", { class: "dim" }, String(summary.issues.length + summary.more_issues))),
    el("ul", { class: "found" }, summary.issues.map((issue) => el("li", {},
      severity(issue), el("span", { class: "name", dir: "auto" }, issue.name),
      el("button", { type: "button", class: "plain", on: { click: () => jump(issue.id) } }, el("span", { dir: "auto" }, issue.test))))),
    summary.more_issues ? el("p", { class: "dim" }, `and ${plural(summary.more_issues, "more issue")}, listed with their runs`) : null);
}

async function jump(id) {
  state.only = "";
  state.words = "";
  const place = rows().findIndex((row) => row.id === id);
  state.most = Math.max(state.most, place + 1);
  await toggle(id, true);
  const node = document.getElementById(`run-${id}`);
  if (node) {
    node.scrollIntoView({ block: "start" });
    node.querySelector("button").focus({ preventScroll: true });
  }
}

// -- the runs

function runs() {
  const { overview } = state;
  if (!overview.total) return null;
  const found = matching();
  const span = timespan();
  const shown = found.slice(0, state.most);
  return el("section", { "aria-labelledby": "runs" },
    el("div", { class: "bar" },
      el("h2", { id: "runs" }, "Runs ", el("span", { class: "dim" }, overview.total.toLocaleString("en"))),
      overview.total > 8 ? search() : null),
    notice(state.notice),
    overview.total > 1 ? filters() : null,
    el("ul", { class: "runs" }, shown.map((row) => item(row, span))),
    found.length ? null : el("p", { class: "dim" }, `No matching runs.${unnamed()}`),
    found.length > shown.length ? el("p", { class: "more" }, el("button", { type: "button", id: "more", on: { click: more } },
      `Show ${Math.min(SHOWN_AT_ONCE, found.length - shown.length)} of ${plural(found.length - shown.length, "more run")}`)) : null);
}

/** Without a report, most runs of a large group have no name until their details are loaded. */
function unnamed() {
  const count = rows().filter((row) => !row.outcome).length;
  return count ? ` ${plural(count, "run")} could be searched by id only. A task with a .json report has all names.` : "";
}

async function more() {
  state.most += SHOWN_AT_ONCE;
  draw();
  await load(wanted());
}

function search() {
  return el("input", {
    type: "search", id: "words", value: state.words, placeholder: "Find a test", "aria-label": "Find a test by name or run id",
    on: { input: (event) => { state.words = event.target.value; state.most = SHOWN_AT_ONCE; draw(); } },
  });
}

function filters() {
  const counts = { ...listed(), flaky: rows().filter((row) => row.flaky).length };
  // Without a report, the outcomes of some runs of a large group are unknown until their details are loaded.
  const all = counts[""] ? { ...counted(), flaky: state.overview.summary ? state.overview.summary.flaky : 0 } : {};
  const number = (kind) => (all[kind] > counts[kind] ? `${counts[kind]} of ${all[kind]}` : String(counts[kind]));
  const kinds = [...ORDER.filter((kind) => kind && counts[kind]), ...(counts.flaky ? ["flaky"] : [])];
  if (kinds.length < 2) return null;
  const choice = (kind, text) => el("button", {
    type: "button", id: `only-${kind || "all"}`, class: "choice", "aria-pressed": state.only === kind ? "true" : "false",
    on: { click: () => { state.only = kind; state.most = SHOWN_AT_ONCE; draw(); load(wanted()); } },
  }, text);
  return el("div", { class: "choices", role: "group", "aria-label": "Filter runs by outcome" },
    choice("", "All"), kinds.map((kind) => choice(kind, `${capital(kind)} ${number(kind)}`)));
}

function timespan() {
  const times = rows().filter((row) => row.started && row.ended && row.ended >= row.started);
  if (times.length < 2) return null;
  const from = Math.min(...times.map((row) => row.started));
  const to = Math.max(...times.map((row) => row.ended));
  return to > from ? { from, to } : null;
}

function item(row, span) {
  const open = state.open.has(row.id);
  const known = state.details.get(row.id);
  return el("li", { id: `run-${row.id}`, class: `run k-${row.outcome || "none"}` },
    el("h3", {}, el("button", {
      type: "button", class: "row", id: `row-${row.id}`, "aria-expanded": String(open), on: { click: () => toggle(row.id, !state.open.has(row.id)) },
    },
    el("span", { class: "fold", "aria-hidden": "true" }),
    badge(row.outcome, row.outcome ? "" : "Not loaded"),
    el("span", { class: "title", dir: "auto" }, row.title || `run ${row.id}`),
    el("span", { class: "flags" }, chips(row, knownTests()), row.flaky ? el("span", { class: "chip" }, "Flaky") : null,
      row.issues ? el("span", { class: "chip" }, plural(row.issues, "issue")) : null),
    el("span", { class: "took" }, took(row.seconds), track(row, span)))),
    open ? detail(row, known) : null);
}

function track(row, span) {
  if (!span || !row.started || !row.ended || row.ended < row.started) return null;
  const whole = span.to - span.from;
  return lane(((row.started - span.from) / whole) * 100, ((row.ended - row.started) / whole) * 100);
}

function lane(start, width) {
  return el("span", { class: "lane", "aria-hidden": "true" }, el("i", { vars: { "--from": `${start}%`, "--width": `${width}%` } }));
}

async function toggle(id, open) {
  if (open) state.open.add(id);
  else state.open.delete(id);
  draw();
  if (!open) return;
  const missing = linked(id, rows()).filter((one) => !state.details.has(one));
  if (missing.length) await load(missing);
}

function knownTests() {
  return state.overview.summary ? state.overview.summary.known : [];
}

function detail(row, known) {
  if (!known) {
    return el("div", { class: "detail" }, memoryOf(row, knownTests()), attempts(row, state.details), el("p", { class: "dim" }, state.notice || (state.answered.has(row.id) ? "No details are available for this run." : "Loading…")), el("p", { class: "dim" }, `Run ${row.id}`));
  }
  return el("div", { class: "detail" },
    known.reason || known.code ? el("p", { class: "said", dir: "auto" }, known.code ? el("b", {}, `${known.code} `) : null, known.reason) : null,
    memoryOf(row, knownTests()), attempts(row, state.details),
    known.findings.length ? [el("h4", {}, "Issues"), el("ul", { class: "cards" }, known.findings.map(finding))] : null,
    known.steps.length ? [el("h4", {}, "Steps"), el("ol", { class: "steps" }, known.steps.map(step))] : null,
    known.pictures.length ? [el("h4", {}, "Screenshots"), el("ul", { class: "pictures" }, known.pictures.map(picture))] : null,
    known.left_out ? el("p", { class: "dim" }, `Truncated: ${known.left_out}.`) : null,
    el("p", { class: "links" },
      known.url ? outward(known.url, "Open the run") : null,
      known.video ? outward(known.video, "Recording") : null,
      el("span", { class: "dim" }, `Run ${row.id}${known.test_id ? `, test ${known.test_id}` : ""}, service status: ${known.status}`)));
}

function finding(issue) {
  return el("li", { class: "card" },
    el("p", { class: "cardhead" }, severity(issue), el("b", { dir: "auto" }, issue.name)),
    issue.description ? el("p", { class: "said", dir: "auto" }, issue.description) : null,
    issue.expected || issue.actual ? el("dl", {},
      issue.expected ? [el("dt", {}, "Expected"), el("dd", { dir: "auto" }, issue.expected)] : null,
      issue.actual ? [el("dt", {}, "Actual"), el("dd", { dir: "auto" }, issue.actual)] : null) : null,
    issue.reproduction.length ? el("details", {}, el("summary", {}, "Steps to reproduce"),
      el("ol", {}, issue.reproduction.map((text) => el("li", { dir: "auto" }, text)))) : null,
    issue.url ? el("p", {}, outward(issue.url, "Page")) : null);
}

function step(one) {
  return el("li", { class: one.passed ? "k-passed" : "k-failed" },
    el("span", { class: "sign", "aria-hidden": "true" }, one.passed ? "✓" : "✕"),
    el("div", { class: "words" },
      el("p", {}, el("span", { class: "unseen" }, one.passed ? "Passed: " : "Failed: "), el("span", { dir: "auto" }, one.title),
        one.kind ? el("span", { class: "dim" }, ` ${one.kind}`) : null),
      one.summary ? el("p", { class: "dim said", dir: "auto" }, one.summary) : null,
      one.error || one.code ? el("p", { class: "error", dir: "auto" }, one.code ? el("b", {}, `${one.code} `) : null, one.error) : null,
      one.hint ? el("p", { class: "hint" }, el("b", {}, "What to do: "), one.hint) : null),
    el("span", { class: "took" }, one.time, one.bar ? lane(one.bar[0], one.bar[1]) : null));
}

function picture(one, place) {
  const caption = one.of || `Screenshot ${place + 1}`;
  if (!one.copy) return el("li", { class: "linked" }, outward(one.link, caption));
  const source = address(`dags/${encodeURIComponent(state.dag)}/screenshot`, { ...state.query, name: one.copy });
  const image = el("img", { alt: caption, loading: "lazy" });
  image.src = source.href;
  const link = opening(source, image);
  return el("li", {}, el("figure", {}, link, el("figcaption", { dir: "auto" }, caption)));
}
