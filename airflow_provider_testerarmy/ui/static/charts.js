// Small SVG charts, built from elements without a library. Each chart also gives its values as text, for screen readers.

import { capital, day, el, svg, took } from "./dom.js";

const WIDTH = 560;
const HEIGHT = 120;
const EDGE = { left: 50, right: 10, top: 10, bottom: 22 };

/** The most lines in one chart: style.css has this many line styles. */
export const LINES = 5;

/** A line chart over time. Each series is {name, points}, each point {when, value, kind, text}; `format` prints a value. */
export function timeline(given, { label, format, least, most }) {
  const series = given.map((one) => ({ ...one, points: one.points.filter((point) => point.value !== null && point.when) }))
    .filter((one) => one.points.length);
  const all = series.flatMap((one) => one.points);
  if (!all.length) return el("p", { class: "dim" }, "No data yet.");
  const values = all.map((point) => point.value);
  const low = least ?? Math.min(...values);
  const high = Math.max(most ?? Math.max(...values), low + 1e-9);
  const from = Math.min(...all.map((point) => point.when));
  const to = Math.max(...all.map((point) => point.when));
  const inner = WIDTH - EDGE.left - EDGE.right;
  const base = HEIGHT - EDGE.bottom;
  const round = (number) => Math.round(number * 10) / 10;
  const x = (when) => round(EDGE.left + (to > from ? ((when - from) / (to - from)) * inner : inner / 2));
  const y = (value) => round(base - ((value - low) / (high - low)) * (base - EDGE.top));
  const path = (points) => points.map((point) => `${x(point.when)},${y(point.value)}`).join(" ");
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": `${label}. ${series.map((one) => spoken(one, format)).join(". ")}` },
    [low, (low + high) / 2, high].map((value) => [
      svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(value), y2: y(value) }),
      svg("text", { class: "axis end", x: EDGE.left - 6, y: y(value) + 4 }, format(value))]),
    svg("text", { class: "axis", x: EDGE.left, y: HEIGHT - 5 }, day(from)),
    to > from ? svg("text", { class: "axis end", x: WIDTH - EDGE.right, y: HEIGHT - 5 }, day(to)) : null,
    series.length === 1 && all.length > 1 ? svg("polygon", { class: "area", points: `${x(from)},${base} ${path(all)} ${x(to)},${base}` }) : null,
    series.map((one, place) => svg("polyline", { class: `line l${place}`, points: path(one.points) })),
    all.length <= 150 ? all.map((point) => svg("circle", { class: `dot k-${point.kind || "none"}`, cx: x(point.when), cy: y(point.value), r: 3 },
      svg("title", {}, point.text))) : null);
}

/** The legend of a line chart. */
export function legend(series) {
  return el("ul", { class: "legend" }, series.map((one, place) => el("li", {},
    svg("svg", { viewBox: "0 0 18 6", width: 18, height: 6, "aria-hidden": "true" }, svg("line", { class: `line l${place}`, x1: 0, x2: 18, y1: 3, y2: 3 })),
    el("span", { dir: "auto" }, one.name))));
}

function spoken({ name, points }, format) {
  const values = points.map((point) => point.value);
  const range = `from ${format(Math.min(...values))} to ${format(Math.max(...values))}`;
  return `${name}: ${points.length} values ${range}, latest ${format(points[points.length - 1].value)}`;
}

/** The latest outcomes of a test, the newest on the right. */
export function strip(outcomes) {
  const words = outcomes.map(([, outcome, flaky]) => (flaky ? `${outcome}, flaky` : outcome)).join("; ");
  return svg("svg", { viewBox: `0 0 ${Math.max(outcomes.length, 12) * 7} 18`, class: "strip", role: "img", "aria-label": `Latest outcomes: ${words}`, preserveAspectRatio: "xMinYMid meet" },
    outcomes.map(([when, outcome, flaky], place) => svg("g", { class: `k-${outcome}` },
      svg("rect", { x: place * 7, y: outcome === "passed" ? 6 : 1, width: 5, height: outcome === "passed" ? 11 : 16, rx: 1.5 },
        svg("title", {}, `${capital(outcome)}${flaky ? ", flaky" : ""} ${day(when)}`)),
      flaky ? svg("circle", { class: "mark", cx: place * 7 + 2.5, cy: 2.5, r: 2 }) : null)));
}

/** A sparkline of a test's durations. */
export function spark(durations) {
  const known = durations.map((value, place) => [place, value]).filter(([, value]) => value !== null);
  if (known.length < 2) return null;
  const high = Math.max(...known.map(([, value]) => value), 1e-9);
  const width = 80;
  const points = known.map(([place, value]) => `${Math.round((place / (durations.length - 1)) * width * 10) / 10},${Math.round((17 - (value / high) * 15) * 10) / 10}`);
  return svg("svg", { viewBox: `0 0 ${width} 18`, class: "spark", role: "img", "aria-label": `Durations, up to ${took(high)}` },
    svg("polyline", { class: "line", points: points.join(" ") }));
}


