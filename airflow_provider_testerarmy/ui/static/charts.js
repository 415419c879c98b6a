// Small SVG charts, built from elements without a library. Each chart also gives its values as text.

import { brief, day, el, moment, percent, SIGNS, svg, timezone, took } from "./dom.js";
import { locale, say } from "./text.js";

const HEIGHT = 132;
const EDGE = { left: 50, right: 8, top: 8, bottom: 20 };
const SLOT = { day: 86400, hour: 3600 };
const WIDEST = 28;
/** The worst first. The bars of a night begin with it, at the base line. */
const RANK = ["failed", "errored", "unknown", "rejected", "cancelled", "skipped", "not_judged", "passed"];

/** A bar per night: how many test tasks had which verdict. `nights`: {when, verdicts, passed, judged, seconds}, the oldest first. */
export function verdictBars(nights, hourly) {
  const most = Math.max(...nights.map((night) => total(night.verdicts)));
  return chart(nights, hourly, say("chart.verdicts"), [[0, "0"], [most, String(most)]], (night, { x, width, y }) => {
    let floor = 0;
    const kinds = RANK.filter((kind) => night.verdicts[kind]);
    return kinds.map((kind) => {
      const from = y(floor / most);
      floor += night.verdicts[kind];
      // A single failure among many passed tasks is at least four pixels high.
      const top = Math.min(y(floor / most), kind === "passed" ? from : from - 4);
      return svg("rect", { class: `bar k-${kind}`, x, width, y: top, height: round(from - top) });
    });
  });
}

/** A dot per night: the median duration, in the colour of the night's worst verdict. */
export function durationDots(nights, hourly) {
  const known = nights.filter((night) => night.seconds !== null);
  if (!known.length) return null;
  const most = Math.max(...known.map((night) => night.seconds), 1);
  return chart(known, hourly, say("chart.durations"), [[0, brief(0)], [most / 2, brief(most / 2)], [most, brief(most)]], (night, { x, width, y }) => {
    const place = { cx: round(x + width / 2), cy: y(night.seconds / most) };
    return svg("circle", { class: `dot k-${worst(night)}`, ...place, r: worst(night) === "passed" ? 3 : 4 });
  });
}

function chart(nights, hourly, label, marks, shape) {
  const room = Math.max(300, Math.min(1130, document.documentElement.clientWidth - 60));
  const inner = room - EDGE.left - EDGE.right;
  const base = HEIGHT - EDGE.bottom;
  const slot = hourly ? SLOT.hour : SLOT.day;
  const first = nights[0].when;
  // A day of a change to daylight saving time has 23 or 25 hours.
  const place = (when) => Math.round((when - first) / slot);
  const slots = place(nights[nights.length - 1].when) + 1;
  const wide = inner / slots;
  const width = round(Math.max(1, Math.min(WIDEST, wide - (wide > 4 ? 2 : 0.4))));
  const y = (share) => round(base - share * (base - EDGE.top));
  const most = marks[marks.length - 1][0];
  const words = nights.map((night) => spoken(night, hourly));
  // Failures are drawn last, in front of what they touch.
  const drawn = nights.map((night, number) => [night, number]).sort(([one], [other]) => RANK.indexOf(worst(other)) - RANK.indexOf(worst(one)));
  const picture = svg("svg", { viewBox: `0 0 ${room} ${HEIGHT}`, class: "chart nights", "aria-hidden": "true" },
    marks.map(([value, text]) => [
      svg("line", { class: "grid", x1: EDGE.left, x2: room - EDGE.right, y1: y(value / most), y2: y(value / most) }),
      svg("text", { class: "axis end", x: EDGE.left - 6, y: y(value / most) + 4 }, text)]),
    drawn.map(([night, number]) => svg("g", { class: "night", on: { pointerenter: (event) => choose(event.currentTarget, words, number) } },
      svg("title", {}, words[number]),
      svg("rect", { class: "reach", x: round(EDGE.left + place(night.when) * wide), width: round(wide), y: EDGE.top, height: base - EDGE.top }),
      shape(night, { x: round(EDGE.left + place(night.when) * wide + (wide - width) / 2), width, y }))),
    svg("text", { class: "axis", x: EDGE.left, y: HEIGHT - 4 }, hourly ? moment(first) : date(first)),
    slots > 1 && room > 340 ? svg("text", { class: "axis end", x: room - EDGE.right, y: HEIGHT - 4 }, time(nights[nights.length - 1], hourly)) : null);
  const order = drawn.map(([, number]) => number);
  return el("div", { class: "plot", role: "slider", tabindex: "0", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": String(nights.length - 1),
    "aria-valuenow": String(nights.length - 1), "aria-valuetext": words[words.length - 1], on: { keydown: (event) => step(event, words, order) } },
  picture, el("p", { class: "reading dim", "aria-hidden": "true" }, words[words.length - 1]));
}

function step(event, words, order) {
  const plot = event.currentTarget;
  const now = Number(plot.getAttribute("aria-valuenow"));
  const next = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: words.length - 1, PageUp: now + 7, PageDown: now - 7 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const number = Math.max(0, Math.min(words.length - 1, next));
  choose(plot.querySelectorAll(".night")[order.indexOf(number)], words, number);
}

function choose(group, words, number) {
  const plot = group.closest(".plot");
  plot.querySelector(".night.on")?.classList.remove("on");
  group.classList.add("on");
  plot.setAttribute("aria-valuenow", String(number));
  plot.setAttribute("aria-valuetext", words[number]);
  plot.querySelector(".reading").textContent = words[number];
}

/** The nights of a chart as a table, the newest first: what the chart shows, for those who cannot see it. */
export function nightTable(nights, hourly) {
  return el("details", { class: "values" }, el("summary", {}, say("chart.as_table")),
    el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": say("chart.as_table") }, el("table", {},
      el("thead", {}, el("tr", {}, ["night", "verdicts", "passed", "duration"].map((name) => el("th", { scope: "col" }, say(`chart.column.${name}`))))),
      el("tbody", {}, [...nights].reverse().map((night) => el("tr", {},
        el("th", { scope: "row" }, time(night, hourly)), el("td", {}, verdicts(night)), el("td", { class: "number" }, passed(night)),
        el("td", { class: "number" }, took(night.seconds) || "–")))))));
}

function spoken(night, hourly) {
  return [time(night, hourly), verdicts(night), passed(night), took(night.seconds)].filter(Boolean).join(" · ");
}

function time(night, hourly) {
  return hourly ? moment(night.when) : date(night.when);
}

function date(when) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeZone: timezone() }).format(new Date(when * 1000));
}

function verdicts({ verdicts: counts }) {
  return RANK.filter((kind) => counts[kind]).map((kind) => say(`count.${kind}`, { number: counts[kind] })).join(", ");
}

function passed({ passed: number, judged }) {
  return judged ? say("chart.runs_passed", { number, judged, share: percent(number / judged), count: judged }) : "";
}

function worst({ verdicts: counts }) {
  return RANK.find((kind) => counts[kind]) || "passed";
}

function total(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function round(number) {
  return Math.round(number * 10) / 10;
}

/** The latest outcomes of a test, the newest on the right. */
export function strip(outcomes) {
  const word = (outcome, flaky) => (flaky ? say("chart.outcome_flaky", { outcome: say(`outcome.${outcome}`) }) : say(`outcome.${outcome}`));
  const words = outcomes.map(([, outcome, flaky]) => word(outcome, flaky)).join("; ");
  return svg("svg", { viewBox: `0 0 ${Math.max(outcomes.length, 12) * 7} 18`, class: "strip", role: "img", "aria-label": say("chart.latest", { outcomes: words }), preserveAspectRatio: "xMinYMid meet" },
    outcomes.map(([when, outcome, flaky], place) => svg("g", { class: `k-${outcome}` },
      svg("rect", { x: place * 7, y: outcome === "passed" ? 6 : 1, width: 5, height: outcome === "passed" ? 11 : 16, rx: 1.5 },
        svg("title", {}, `${SIGNS[outcome] || ""} ${word(outcome, flaky)} · ${day(when)}`)),
      flaky ? svg("circle", { class: "mark", cx: place * 7 + 2.5, cy: 2.5, r: 2 }) : null)));
}

/** A sparkline of a test's durations. */
export function spark(durations) {
  const known = durations.map((value, place) => [place, value]).filter(([, value]) => value !== null);
  if (known.length < 2) return null;
  const high = Math.max(...known.map(([, value]) => value), 1e-9);
  const width = 80;
  const points = known.map(([place, value]) => `${round((place / (durations.length - 1)) * width)},${round(17 - (value / high) * 15)}`);
  return svg("svg", { viewBox: `0 0 ${width} 18`, class: "spark", role: "img", "aria-label": say("chart.up_to", { duration: took(high) }) },
    svg("polyline", { class: "line", points: points.join(" ") }));
}
