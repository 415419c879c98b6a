// The history of all test tasks that the viewer can access, and the page of one test.

import { addressWith, onAddress, readAddress, writeAddress } from "./address.js";
import { address, ask, ApiError } from "./api.js";
import { durationDots, nightTable, spark, strip, verdictBars } from "./charts.js";
import { badge, commitOf, downloading, el, empty, moment, notice, percent, show, timezone, toAirflow, took } from "./dom.js";
import { nameOf, placeOf } from "./places.js";
import { number, say } from "./text.js";
import { testSections } from "./testpage.js";

const SHOWN_AT_ONCE = 25;
const PAUSE = 300;
const READING_PAUSE = 3000;
const PERIODS = ["1", "7", "30", "90", "366"];
const USUAL = { dag_id: "", group: "", verdict: "", test: "", search: "", days: "30" };
const state = { wanted: { ...USUAL }, found: null, failed: null, asking: null, typing: 0, reading: 0, more: false, tests: SHOWN_AT_ONCE };

export async function start() {
  readWanted();
  onAddress(() => { readWanted(); load(); });
  writeAddress(shared(state.wanted), { replace: true });
  window.addEventListener("resize", () => { if (state.found) draw(); });
  await refresh();
}

function readWanted() {
  state.wanted = { ...USUAL, ...readAddress(Object.keys(USUAL)) };
  if (!/^\d+$/.test(state.wanted.days) || state.wanted.days < 1 || state.wanted.days > 366) state.wanted.days = USUAL.days;
}

/** The values for the address: those that differ from the usual ones. */
function shared(wanted) {
  return Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, value === USUAL[name] ? "" : value]));
}

/** Shows the view with these values changed, as a new step for the back button. */
function go(changes, { replace = false } = {}) {
  Object.assign(state.wanted, changes);
  state.tests = SHOWN_AT_ONCE;
  writeAddress(shared(state.wanted), { replace });
  load();
}

function load() {
  refresh().catch((error) => show(empty(error instanceof ApiError ? error.title : say("page.broken"), error.message)));
}

async function refresh(after = "") {
  state.asking?.abort();
  const asking = new AbortController();
  state.asking = asking;
  try {
    const found = await ask("history", { ...state.wanted, zone: zone(), after }, asking.signal);
    // Responses can arrive out of order; only the one for the current filters counts.
    if (asking !== state.asking) return;
    state.more = false;
    state.found = after ? { ...state.found, runs: [...state.found.runs, ...found.runs], next: found.next, complete_since: found.complete_since, reading: found.reading } : found;
    state.failed = null;
  } catch (error) {
    if (asking !== state.asking || error.name === "AbortError") return;
    if (!(error instanceof ApiError) || state.found === null) throw error;
    state.failed = error;
    state.more = false;
  }
  draw();
  readOn();
}

/** Asks again while the server reads older tasks, unless the viewer has loaded more of the list. */
function readOn() {
  clearTimeout(state.reading);
  if (!state.found.reading || state.found.runs.length > SHOWN_AT_ONCE) return;
  state.reading = setTimeout(load, READING_PAUSE);
}

function zone() {
  return timezone() || Intl.DateTimeFormat().resolvedOptions().timeZone || "";
}

function draw() {
  const { found, wanted } = state;
  const head = [heading(), state.failed ? notice(`${state.failed.title}. ${state.failed.message}`, "bad") : null,
    found.complete_since === null ? null : notice(say("history.reading", { since: moment(found.complete_since) }))];
  const filtered = Object.keys(USUAL).some((name) => name !== "days" && wanted[name]);
  if (!found.runs.length && !filtered) {
    show(head, choices(), empty(say("history.none"), say("history.none.more")));
  } else if (wanted.test) {
    show(head, choices(), found.test ? testSections(found.test, { link, csv, figures: figure }) : noMatch());
  } else {
    show(head, choices(), notices(), figures(), charts(), tests(), tasks());
  }
}

function heading() {
  if (!state.wanted.test) return el("h1", { class: "page" }, say("history.heading"));
  const title = state.found.test?.title || state.wanted.test;
  return el("header", { class: "trail" }, el("p", {}, link({ test: "" }, say("history.all_tests"))), el("h1", { class: "page", dir: "auto" }, title));
}

function noMatch() {
  return empty(say("history.no_match"), say("history.no_match.more"),
    el("p", {}, link({ ...USUAL, days: state.wanted.days }, say("history.clear"))));
}

function notices() {
  const { found } = state;
  return [found.most ? notice(say("history.most", { count: found.most })) : null,
    found.unread ? notice(say("history.unread", { count: found.unread })) : null];
}

/** A link to this page with some values changed; its address can be opened in a new tab and sent to others. */
function link(changes, text) {
  const node = toAirflow(addressWith(shared({ ...state.wanted, ...changes })).href, text);
  const outward = node.listeners.click;
  node.listeners = { click: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) {
      outward(event);
      return;
    }
    event.preventDefault();
    go(changes);
    window.scrollTo(0, 0);
  } };
  return node;
}

function csv(table) {
  return downloading(address(`history/${table}.csv`, { ...state.wanted }), say("history.csv"), { class: "csv" });
}

function choices() {
  const { choices: offered } = state.found;
  return el("form", { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } },
    el("div", { class: "field wide" }, el("label", { for: "f-search" }, say("history.search")),
      el("input", { id: "f-search", type: "search", value: state.wanted.search, placeholder: say("history.search.hint"), on: { input: type } })),
    select("days", say("history.period"), PERIODS.map((days) => [days, say(`history.period.${days}`)])),
    select("dag_id", say("history.dag"), [["", say("history.all")], ...offered.dags.map((dag) => [dag, dag])]),
    select("group", say("history.group"), [["", say("history.all")], ...offered.groups.map((group) => [group.key, group.title])]),
    select("verdict", say("history.verdict"), [["", say("history.all")], ...offered.verdicts.map((verdict) => [verdict, say(`outcome.${verdict}`)])]));
}

function type(event) {
  state.wanted.search = event.target.value;
  clearTimeout(state.typing);
  // While somebody types, the address changes in place: a step back leads to before the search.
  state.typing = setTimeout(() => go({}, { replace: true }), PAUSE);
}

function select(name, label, options) {
  const given = state.wanted[name];
  const all = options.some(([value]) => value === given) ? options : [...options, [given, name === "days" ? say("history.period.days", { count: Number(given) }) : given]];
  return el("div", { class: "field" }, el("label", { for: `f-${name}` }, label), el("select", {
    id: `f-${name}`, name, on: { change: (event) => go({ [name]: event.target.value }) },
  }, all.map(([value, text]) => el("option", { value, selected: value === given }, text))));
}

function figure(value, text) {
  return el("div", { class: "figure" }, el("b", {}, value), el("span", {}, text));
}

function figures() {
  const { figures: all } = state.found;
  return el("div", { class: "figures" },
    figure(number(all.tasks), say("history.figure.tasks", { count: all.tasks })),
    figure(percent(all.passed), say("history.figure.passed")),
    figure(percent(all.rate), say("history.figure.rate")),
    figure(took(all.seconds) || "–", say("history.figure.seconds")));
}

function charts() {
  const { nights, hourly } = state.found;
  if (!nights.length) return null;
  const word = hourly ? "hour" : "night";
  const durations = durationDots(nights, hourly);
  return el("div", { class: "charts nightly" },
    el("section", { "aria-labelledby": "verdicts" }, el("h2", { id: "verdicts" }, say(`history.verdicts.${word}`)), verdictBars(nights, hourly), nightTable(nights, hourly)),
    durations ? el("section", { "aria-labelledby": "durations" }, el("h2", { id: "durations" }, say(`history.durations.${word}`)), durations) : null);
}

function table(name, columns, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": name }, el("table", { class: "wide" },
    el("thead", {}, el("tr", {}, columns.map((text) => el("th", { scope: "col" }, text)))), el("tbody", {}, rows)));
}

function tests() {
  const { tests: all, more_tests: unlisted } = state.found;
  if (!all.length) return null;
  const shown = all.slice(0, state.tests);
  const rows = shown.map((test) => {
    const changes = { test: test.key, dag_id: test.dag_id, group: test.group, verdict: "", search: "" };
    return el("tr", {},
      el("th", { scope: "row" }, el("span", { dir: "auto" }, link(changes, test.title)),
        el("span", { class: "dim block", dir: "auto" }, [test.group_title, test.dag_id, test.environment].filter(Boolean).join(" · "))),
      el("td", {}, strip(test.outcomes)),
      el("td", { class: "number" }, percent(test.rate)),
      el("td", { class: "number" }, flakiness(test)),
      el("td", { class: "number" }, el("span", { class: "pair" }, el("span", {}, took(test.seconds)), spark(test.durations))));
  });
  return el("section", { "aria-labelledby": "tests" },
    el("div", { class: "bar" }, el("h2", { id: "tests" }, say("history.tests"), " ", el("span", { class: "dim" }, number(all.length + unlisted))), csv("tests")),
    table("tests", ["test", "outcomes", "passed", "flakiness", "duration"].map((name) => say(`history.column.${name}`)), rows),
    all.length > shown.length ? el("p", { class: "more" }, el("button", { type: "button", id: "more-tests", on: { click: () => { state.tests += SHOWN_AT_ONCE; draw(); } } },
      say("history.more_tests", { count: all.length - shown.length }))) : null,
    unlisted ? el("p", { class: "dim" }, say("history.unlisted", { count: all.length })) : null);
}

function more() {
  state.more = true;
  draw();
  refresh(state.found.next).catch(load);
}

export function flakiness(test) {
  if (!test.flakiness) return el("span", { class: "dim" }, "–");
  const why = [test.changes ? say("history.changes", { count: test.changes }) : "", test.flaky ? say("history.flaky_runs", { count: test.flaky }) : ""].filter(Boolean).join(", ");
  return [percent(test.flakiness), el("span", { class: "dim block" }, why)];
}

function tasks() {
  const { runs: shown, figures: { tasks: total }, next } = state.found;
  if (!shown.length) return noMatch();
  const rows = shown.map((run) => el("tr", {},
    el("td", {}, badge(run.verdict || (run.finished ? "" : "running"), run.verdict ? "" : say(run.finished ? "verdict.none" : "verdict.waiting"))),
    el("th", { scope: "row" }, toAirflow(placeOf(run), nameOf(run)), el("span", { class: "dim block" }, run.dag_id)),
    el("td", { dir: "auto" }, run.group_title, run.commit || run.environment ? el("span", { class: "dim block tested" },
      run.environment, run.commit && run.environment ? " · " : null, run.commit ? commitOf(run.commit, run.commit_url) : null) : null),
    el("td", {}, moment(run.when)),
    el("td", { class: "number" }, run.counts.total ? say("history.of", { passed: run.counts.passed || 0, total: run.counts.total }) : "–"),
    el("td", { class: "number" }, took(run.seconds) || "–")));
  return el("section", { "aria-labelledby": "runs" },
    el("div", { class: "bar" }, el("h2", { id: "runs" }, say("history.tasks"), " ", el("span", { class: "dim" }, number(total))), csv("tasks")),
    table("runs", ["verdict", "task", "group", "started", "passed", "duration"].map((name) => say(`history.column.${name}`)), rows),
    next ? el("p", { class: "more" }, el("button", { type: "button", id: "more-runs", disabled: state.more, on: { click: more } },
      state.more ? say("page.loading") : say("history.more_tasks", { count: Math.max(total - shown.length, 1) }))) : null);
}
