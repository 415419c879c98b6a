// One test over time: its outcomes, durations, environments, and its issues by what they say.

import { durationDots, nightTable, spark, strip, verdictBars } from "./charts.js";
import { badge, commitOf, el, moment, percent, tally, toAirflow, took } from "./dom.js";
import { flakiness } from "./history.js";
import { nameOf, placeOf } from "./places.js";
import { number, say } from "./text.js";

const SHOWN = 100;

/** The sections of the page. `link` makes a link to another view, `csv` a link to a table, `figures` a figure. */
export function testSections(test, { link, csv, figures }) {
  const nights = nightsOf(test.nights);
  return [
    el("div", { class: "figures times" },
      figures(number(test.total), say("test.figure.runs", { count: test.total })),
      figures(moment(test.last_of.failed) || "–", say("test.figure.last_failed")),
      figures(moment(test.last_of.passed) || "–", say("test.figure.last_passed")),
      figures(moment(test.first) || "–", say("test.figure.first"))),
    el("section", { "aria-labelledby": "outcomes" }, el("h2", { id: "outcomes" }, say("test.outcomes")), tally(test.counts),
      verdictBars(nights, false), durationDots(nights, false), nightTable(nights, false)),
    clusters(test.clusters),
    places(test.places, link),
    results(test, csv),
  ];
}

/** The results by day in the viewer's time zone, in the form that the charts take. */
function nightsOf(results) {
  const days = new Map();
  for (const result of [...results].reverse()) {
    const day = result.day;
    if (!days.has(day)) days.set(day, { when: day, verdicts: {}, passed: 0, judged: 0, times: [] });
    const night = days.get(day);
    night.verdicts[result.outcome] = (night.verdicts[result.outcome] || 0) + 1;
    night.judged += ["passed", "failed", "errored"].includes(result.outcome) ? 1 : 0;
    night.passed += result.outcome === "passed" ? 1 : 0;
    if (result.seconds !== null) night.times.push(result.seconds);
  }
  return [...days.values()].map(({ times, ...night }) => ({ ...night, seconds: median(times) }));
}

function median(times) {
  const sorted = [...times].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  if (!sorted.length) return null;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function clusters(found) {
  if (!found.length) return null;
  return el("section", { "aria-labelledby": "issues" }, el("h2", { id: "issues" }, say("test.issues"), " ", el("span", { class: "dim" }, number(found.length))),
    table("issues", ["issue", "tasks", "first", "last"], found.map((cluster) => el("tr", {},
      el("th", { scope: "row", dir: "auto" }, toAirflow(placeOf(cluster.task), cluster.text)),
      el("td", { class: "number" }, number(cluster.tasks)),
      el("td", {}, moment(cluster.first)),
      el("td", {}, moment(cluster.last))))));
}

function places(found, link) {
  return el("section", { "aria-labelledby": "places" }, el("h2", { id: "places" }, say("test.places")),
    table("places", ["place", "environment", "outcomes", "passed", "flakiness", "duration"], found.map((place) => el("tr", {},
      el("th", { scope: "row" }, link({ dag_id: place.dag_id, group: place.group }, nameOf(place)),
        el("span", { class: "dim block", dir: "auto" }, [place.dag_id, place.group_title].filter(Boolean).join(" · "))),
      el("td", { dir: "auto" }, place.environment || "–"),
      el("td", {}, strip(place.outcomes)),
      el("td", { class: "number" }, percent(place.rate)),
      el("td", { class: "number" }, flakiness(place)),
      el("td", { class: "number" }, el("span", { class: "pair" }, el("span", {}, took(place.seconds)), spark(place.durations)))))));
}

function results(test, csv) {
  const shown = test.nights.slice(0, SHOWN);
  return el("section", { "aria-labelledby": "results" },
    el("div", { class: "bar" }, el("h2", { id: "results" }, say("test.results"), " ", el("span", { class: "dim" }, number(test.total))), csv("results")),
    table("results", ["outcome", "task", "started", "environment", "commit", "issues", "duration"], shown.map((result) => el("tr", {},
      el("td", {}, badge(result.outcome), result.flaky ? el("span", { class: "chip" }, say("outcome.flaky")) : null),
      el("th", { scope: "row" }, toAirflow(placeOf(result), nameOf(result)), el("span", { class: "dim block" }, result.dag_id)),
      el("td", {}, moment(result.when)),
      el("td", { dir: "auto" }, result.environment || "–"),
      el("td", {}, result.commit ? commitOf(result.commit, result.commit_url) : "–"),
      el("td", { dir: "auto" }, result.issues.length ? result.issues.map((text) => el("span", { class: "block" }, text)) : "–"),
      el("td", { class: "number" }, took(result.seconds) || "–")))),
    test.total > shown.length ? el("p", { class: "dim" }, say("test.newest", { count: shown.length })) : null);
}

function table(name, columns, rows) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": name }, el("table", { class: "wide" },
    el("thead", {}, el("tr", {}, columns.map((column) => el("th", { scope: "col" }, say(`test.column.${column}`))))), el("tbody", {}, rows)));
}
