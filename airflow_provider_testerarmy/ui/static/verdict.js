// The head of the task page: the verdict with its facts and links, its reasons, and the issues of further tests.

import { address } from "./api.js";
import { commitOf, el, moment, notice, opening, ORDER, outward, severity, shares, SIGNS, tally, toAirflow, took } from "./dom.js";
import { firstBad, counted, listed, state } from "./task_state.js";
import { number, parts, say } from "./text.js";

export function head() {
  const { overview } = state;
  const { summary, task } = overview;
  const counts = counted();
  const judged = summary && summary.verdict;
  const kind = judged || (task.finished ? "" : "running");
  const word = judged ? say(`outcome.${judged}`) : say(task.finished ? (summary ? "task.started" : "task.no_verdict") : "task.waiting");
  return el("header", { class: `head k-${kind || "none"}` },
    el("div", { class: "titles" },
      el("h1", {}, el("span", { class: "verdict" }, SIGNS[kind] ? el("span", { "aria-hidden": "true" }, `${SIGNS[kind]} `) : null, word),
        " · ", el("span", { class: "what", dir: "auto" }, overview.group_title)),
      el("nav", { class: "links", "aria-label": say("task.links") }, links())),
    el("p", { class: "facts" }, facts().map((fact) => el("span", { dir: "auto" }, fact))),
    tested(overview.tested),
    Object.keys(counts).length ? [shares(counts), tally(counts), changed(counts)] : null);
}

function facts() {
  const { overview } = state;
  const { summary, task } = overview;
  const started = (summary && summary.started) || task.started;
  // What has no title, such as a run of Docket, has its label in the heading.
  const ran = overview.label === overview.group_title ? "" : say("task.ran", { label: overview.label });
  return [
    overview.label ? ran : overview.given ? say("task.given") : "",
    started ? say("task.started_at", { time: moment(started) }) : "",
    summary && summary.started && summary.ended ? say("task.took", { time: took(summary.ended - summary.started) }) : "",
    summary && summary.flaky ? say("task.flaky", { number: summary.flaky }) : "",
    task.try_number > 1 ? say("task.try", { number: task.try_number }) : "",
  ].filter(Boolean);
}

/** What was tested, in a line of its own: the answer to "on which commit and environment?". */
function tested(what) {
  const shown = [
    what?.commit ? parts("task.commit", { commit: commitOf(what.commit, what.commit_url) }) : null,
    what?.environment ? say("task.environment", { environment: what.environment }) : null,
    what?.address ? outward(what.address, what.address) : null,
  ].filter(Boolean);
  return shown.length ? el("p", { class: "facts tested" }, shown.map((fact) => el("span", { dir: "auto" }, fact))) : null;
}

function links() {
  const { overview } = state;
  return [
    overview.url ? outward(overview.url, say("task.dashboard")) : null,
    ...overview.reports.filter((report) => report.opens).map((report) => opening(
      address(`dags/${encodeURIComponent(state.dag)}/report`, { ...state.query, index: String(report.index) }), say("task.report"))),
    toAirflow("plugin/test-history", say("task.history")),
  ];
}

/** Runs may change after the verdict, for example those that a time-out left active. The list shows them as they are now. */
function changed(counts) {
  const now = listed();
  if (now[""] || ORDER.every((kind) => (now[kind] || 0) === (counts[kind] || 0))) return null;
  const words = ORDER.filter((kind) => now[kind]).map((kind) => say(`count.${kind}`, { number: number(now[kind]) })).join(", ");
  return el("p", { class: "dim" }, say("task.changed", { counts: words }));
}

/** Where the reports are, below all that matters at three in the morning. */
export function reportPaths() {
  const { reports } = state.overview;
  if (!reports.length) return null;
  return el("section", { "aria-label": say("task.reports") }, el("p", { class: "facts" }, say("task.reports"), " ",
    reports.map((report) => el("span", {}, el("code", {}, report.path), report.note ? ` (${say("task.not_opened")})` : ""))));
}

/** The reasons, without those that only repeat the failure which stands above them. */
export function reasons() {
  const { summary, task } = state.overview;
  if (!summary) {
    if (task.state === "success" && state.overview.total) return notice(say("task.no_summary"));
    return why();
  }
  const left = summary.reasons.filter((reason) => !repeats(reason));
  if (!left.length && !summary.more_reasons) return null;
  return el("section", { "aria-labelledby": "why" }, el("h2", { id: "why" }, say("task.reasons")),
    el("ul", { class: "reasons" }, left.map((reason) => el("li", { dir: "auto" }, plain(reason)))),
    summary.more_reasons ? el("p", { class: "dim" }, say("task.more_reasons", { count: summary.more_reasons })) : null);
}

function repeats(reason) {
  const first = firstBad();
  if (!first || !first.title || !reason.includes(first.title)) return false;
  const known = state.details.get(first.id);
  if (!known) return false;
  const texts = [...known.findings.map((issue) => issue.name), known.reason].filter(Boolean);
  return texts.some((text) => reason.includes(text));
}

/** Why there is no verdict. Tasks of earlier versions of the provider have not said it. */
function why() {
  const { reason, task, total } = state.overview;
  if (!task.finished) return reason ? notice(say("task.last_try", { reason: plain(reason) })) : null;
  if (reason) return notice(total ? say("task.ended", { reason: plain(reason) }) : plain(reason), "bad");
  return notice(say(total ? "task.ended.unknown" : "task.ended.silent"));
}

/** A reason ends with the run's URL; the run's row already links to it. */
function plain(reason) {
  return reason.replace(/ https:\/\/\S+$/, "");
}

export function issues(act) {
  const { summary } = state.overview;
  if (!summary) return null;
  const first = firstBad();
  const shown = first && state.details.has(first.id) ? summary.issues.filter((issue) => issue.id !== first.id) : summary.issues;
  if (!shown.length && !summary.more_issues) return null;
  return el("section", { "aria-labelledby": "issues" },
    el("h2", { id: "issues" }, say(shown.length < summary.issues.length ? "task.other_issues" : "task.issues"), " ",
      el("span", { class: "dim" }, number(shown.length + summary.more_issues))),
    el("ul", { class: "found" }, shown.map((issue) => el("li", {},
      severity(issue), el("span", { class: "name", dir: "auto" }, issue.name),
      el("button", { type: "button", class: "plain", on: { click: () => act.jump(issue.id) } }, el("span", { dir: "auto" }, issue.test))))),
    summary.more_issues ? el("p", { class: "dim" }, say("task.more_issues", { count: summary.more_issues })) : null);
}
