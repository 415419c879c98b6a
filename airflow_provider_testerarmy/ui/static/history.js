// The history of all test tasks that the viewer can access.

import { ask, ApiError } from "./api.js";
import { legend, LINES, spark, strip, timeline } from "./charts.js";
import { badge, brief, capital, el, empty, moment, notice, percent, plural, show, toAirflow, took } from "./dom.js";
import { nameOf, placeOf } from "./dagrun.js";

const SHOWN_AT_ONCE = 25;
const PERIODS = [[1, "Last 24 hours"], [7, "Last 7 days"], [30, "Last 30 days"], [90, "Last 90 days"], [366, "Last year"]];
const state = { wanted: { dag_id: "", group: "", verdict: "", days: "30" }, found: null, failed: null, asking: null, runs: SHOWN_AT_ONCE, tests: SHOWN_AT_ONCE };

export async function start() {
  const given = new URLSearchParams(window.location.search);
  for (const name of Object.keys(state.wanted)) state.wanted[name] = given.get(name) || state.wanted[name];
  await refresh();
}

async function refresh() {
  state.asking?.abort();
  const asking = new AbortController();
  state.asking = asking;
  try {
    const found = await ask("history", state.wanted, asking.signal);
    // Responses can arrive out of order; only the one for the current filters counts.
    if (asking !== state.asking) return;
    state.found = found;
    state.failed = null;
  } catch (error) {
    if (asking !== state.asking || error.name === "AbortError") return;
    if (!(error instanceof ApiError) || state.found === null) throw error;
    state.failed = error;
  }
  draw();
}

function draw() {
  const { found, wanted } = state;
  const filtered = wanted.dag_id || wanted.group || wanted.verdict;
  if (!found.runs.length && !filtered) {
    show(heading(), choices(), empty("No test runs", "No DAG that you can access started TesterArmy or Docket test runs in this period."));
  } else {
    show(heading(), state.failed ? notice(`${state.failed.title}. ${state.failed.message}`, "bad") : null, choices(),
      found.cut ? notice(`Only the newest ${found.searched.toLocaleString("en")} test tasks were searched. Choose a shorter period or one DAG to search them all.`) : null,
      figures(), charts(), tests(), runs());
  }
}

function heading() {
  return el("h1", { class: "page" }, "Test runs");
}

function choices() {
  const { choices: offered } = state.found;
  return el("form", { class: "filters", on: { submit: (event) => event.preventDefault() } },
    select("days", "Period", PERIODS.map(([days, text]) => [String(days), text])),
    select("dag_id", "DAG", [["", "All"], ...offered.dags.map((dag) => [dag, dag])]),
    select("group", "Test or group", [["", "All"], ...offered.groups.map((group) => [group.key, group.title])]),
    select("verdict", "Verdict", [["", "All"], ...offered.verdicts.map((verdict) => [verdict, capital(verdict)])]));
}

function select(name, label, options) {
  const given = state.wanted[name];
  const all = options.some(([value]) => value === given) ? options : [...options, [given, given]];
  return el("div", { class: "field" }, el("label", { for: `f-${name}` }, label), el("select", {
    id: `f-${name}`, name, on: { change: (event) => { state.wanted[name] = event.target.value; refresh().catch(fail); } },
  }, all.map(([value, text]) => el("option", { value, selected: value === given }, text))));
}

function fail(error) {
  show(empty(error instanceof ApiError ? error.title : "Something went wrong", error.message));
}

function figures() {
  const { runs: shown } = state.found;
  const judged = shown.filter((run) => run.verdict);
  const passed = judged.filter((run) => run.verdict === "passed").length;
  const rates = judged.filter((run) => run.rate !== null);
  const mean = rates.length ? rates.reduce((sum, run) => sum + run.rate, 0) / rates.length : null;
  const times = judged.map((run) => run.seconds).filter((seconds) => seconds !== null).sort((one, other) => one - other);
  const figure = (value, text) => el("div", { class: "figure" }, el("b", {}, value), el("span", {}, text));
  return el("div", { class: "figures" },
    figure(shown.length.toLocaleString("en"), shown.length === 1 ? "test task" : "test tasks"),
    figure(judged.length ? percent(passed / judged.length) : "–", "verdicts passed"),
    figure(percent(mean), "average pass rate"),
    figure(times.length ? took(times[Math.floor(times.length / 2)]) : "–", "median duration"));
}

function charts() {
  const judged = [...state.found.runs].reverse().filter((run) => run.verdict);
  if (!judged.length) return null;
  const groups = new Map();
  for (const run of judged) groups.set(run.group, [...(groups.get(run.group) || []), run]);
  const drawn = [...groups.values()].sort((one, other) => other.length - one.length).slice(0, LINES);
  const text = (run) => `${moment(run.when)}: ${capital(run.verdict)}, ${percent(run.rate)} passed${run.seconds === null ? "" : `, ${took(run.seconds)}`} (${run.group_title})`;
  const series = (value) => drawn.map((runs) => ({
    name: runs[runs.length - 1].group_title,
    points: runs.map((run) => ({ when: run.when, value: value(run), kind: run.verdict, text: text(run) })),
  }));
  const rates = series((run) => run.rate);
  const below = drawn.length > 1 ? [legend(rates), groups.size > drawn.length
    ? el("p", { class: "dim block" }, `Only the ${drawn.length} that ran most often are shown. Use the filters to see others.`) : null] : null;
  return el("div", { class: "charts" },
    el("section", { "aria-labelledby": "rate" }, el("h2", { id: "rate" }, "Pass rate"),
      timeline(rates, { label: "Pass rate", format: percent, least: 0, most: 1 }), below),
    el("section", { "aria-labelledby": "duration" }, el("h2", { id: "duration" }, "Duration"),
      timeline(series((run) => run.seconds), { label: "Duration", format: brief, least: 0 }),
      drawn.length > 1 ? legend(rates) : null));
}

function tests() {
  const { tests: all, more_tests: unlisted } = state.found;
  if (!all.length) return null;
  const shown = all.slice(0, state.tests);
  return el("section", { "aria-labelledby": "tests" },
    el("h2", { id: "tests" }, "Tests by flakiness ", el("span", { class: "dim" }, (all.length + unlisted).toLocaleString("en"))),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "tests" }, el("table", { class: "wide" },
      el("thead", {}, el("tr", {}, ["Test", "Outcomes", "Passed", "Flakiness", "Duration"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, shown.map((test) => el("tr", {},
        el("th", { scope: "row" }, el("span", { dir: "auto" }, test.title), el("span", { class: "dim block", dir: "auto" }, [test.group_title, test.dag_id, test.environment].filter(Boolean).join(" · "))),
        el("td", {}, strip(test.outcomes)),
        el("td", { class: "number" }, percent(test.rate)),
        el("td", { class: "number" }, flakiness(test)),
        el("td", { class: "number" }, el("span", { class: "pair" }, el("span", {}, took(test.seconds)), spark(test.durations)))))))),
    more(all.length - shown.length, "test", "more-tests", () => { state.tests += SHOWN_AT_ONCE; draw(); }),
    unlisted ? el("p", { class: "dim" }, `The ${all.length} flakiest tests are listed. Use the filters to see others.`) : null);
}

function flakiness(test) {
  if (!test.flakiness) return el("span", { class: "dim" }, "–");
  const why = [test.changes ? plural(test.changes, "change") : "", test.flaky ? `${test.flaky} flaky` : ""].filter(Boolean).join(", ");
  return [percent(test.flakiness), el("span", { class: "dim block" }, why)];
}

function runs() {
  const { runs: all } = state.found;
  if (!all.length) return empty("No matching test tasks", "Change the filters.");
  const shown = all.slice(0, state.runs);
  return el("section", { "aria-labelledby": "runs" },
    el("h2", { id: "runs" }, "Test tasks ", el("span", { class: "dim" }, String(all.length))),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "runs" }, el("table", { class: "wide" },
      el("thead", {}, el("tr", {}, ["Verdict", "Task", "Test or group", "Started at", "Passed", "Duration"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, shown.map((run) => el("tr", {},
        el("td", {}, badge(run.verdict || (run.finished ? "" : "running"), run.verdict ? "" : run.finished ? "No verdict" : "Waiting")),
        el("th", { scope: "row" }, toAirflow(placeOf(run), nameOf(run)), el("span", { class: "dim block" }, run.dag_id)),
        el("td", { dir: "auto" }, run.group_title),
        el("td", {}, moment(run.when)),
        el("td", { class: "number" }, run.counts.total ? `${run.counts.passed || 0} of ${run.counts.total}` : "–"),
        el("td", { class: "number" }, took(run.seconds) || "–")))))),
    more(all.length - shown.length, "task", "more-runs", () => { state.runs += SHOWN_AT_ONCE; draw(); }));
}

function more(left, noun, id, act) {
  return left > 0 ? el("p", { class: "more" }, el("button", { type: "button", id, on: { click: act } }, `Show ${Math.min(left, SHOWN_AT_ONCE)} of ${plural(left, `more ${noun}`)}`)) : null;
}
