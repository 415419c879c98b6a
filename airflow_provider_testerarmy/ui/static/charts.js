// Small drawings, made of elements: no library, no markup. Each has its figures in words beside it or in its title.

import { capital, day, el, svg, took } from "./dom.js";

const WIDTH = 560;
const HEIGHT = 120;
const EDGE = { left: 44, right: 10, top: 10, bottom: 22 };

/** A value over time: points of {when, value, kind, text}; `format` makes words of a value. */
export function timeline(points, { label, format, least, most }) {
  const known = points.filter((point) => point.value !== null && point.when);
  if (!known.length) return el("p", { class: "dim" }, "Nothing to draw yet.");
  const values = known.map((point) => point.value);
  const low = least ?? Math.min(...values);
  const high = Math.max(most ?? Math.max(...values), low + 1e-9);
  const from = Math.min(...known.map((point) => point.when));
  const to = Math.max(...known.map((point) => point.when));
  const inner = WIDTH - EDGE.left - EDGE.right;
  const x = (when) => EDGE.left + (to > from ? ((when - from) / (to - from)) * inner : inner / 2);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  const round = (number) => Math.round(number * 10) / 10;
  const path = known.map((point) => `${round(x(point.when))},${round(y(point.value))}`).join(" ");
  const base = HEIGHT - EDGE.bottom;
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": `${label}: ${spoken(known, format)}` },
    [low, (low + high) / 2, high].map((value) => [
      svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: round(y(value)), y2: round(y(value)) }),
      svg("text", { class: "axis end", x: EDGE.left - 6, y: round(y(value)) + 4 }, format(value))]),
    svg("text", { class: "axis", x: EDGE.left, y: HEIGHT - 5 }, day(from)),
    to > from ? svg("text", { class: "axis end", x: WIDTH - EDGE.right, y: HEIGHT - 5 }, day(to)) : null,
    known.length > 1 ? svg("polygon", { class: "area", points: `${round(x(from))},${base} ${path} ${round(x(to))},${base}` }) : null,
    svg("polyline", { class: "line", points: path }),
    known.length <= 120 ? known.map((point) => svg("circle", { class: `dot k-${point.kind || "none"}`, cx: round(x(point.when)), cy: round(y(point.value)), r: 3.5 },
      svg("title", {}, point.text))) : null);
}

function spoken(points, format) {
  const last = points[points.length - 1];
  const values = points.map((point) => point.value);
  return `${points.length} runs from ${format(Math.min(...values))} to ${format(Math.max(...values))}, the newest ${format(last.value)}`;
}

/** The last outcomes of a test, the newest on the right. */
export function strip(outcomes) {
  const words = outcomes.map(([, outcome, flaky]) => (flaky ? `${outcome}, flaky` : outcome)).join("; ");
  return svg("svg", { viewBox: `0 0 ${Math.max(outcomes.length, 12) * 7} 18`, class: "strip", role: "img", "aria-label": `The last outcomes: ${words}`, preserveAspectRatio: "xMinYMid meet" },
    outcomes.map(([when, outcome, flaky], place) => svg("g", { class: `k-${outcome}` },
      svg("rect", { x: place * 7, y: outcome === "passed" ? 6 : 1, width: 5, height: outcome === "passed" ? 11 : 16, rx: 1.5 },
        svg("title", {}, `${capital(outcome)}${flaky ? ", flaky" : ""} ${day(when)}`)),
      flaky ? svg("circle", { class: "mark", cx: place * 7 + 2.5, cy: 2.5, r: 2 }) : null)));
}

/** How long a test took each time. */
export function spark(durations) {
  const known = durations.map((value, place) => [place, value]).filter(([, value]) => value !== null);
  if (known.length < 2) return null;
  const high = Math.max(...known.map(([, value]) => value), 1e-9);
  const width = 80;
  const points = known.map(([place, value]) => `${Math.round((place / (durations.length - 1)) * width * 10) / 10},${Math.round((17 - (value / high) * 15) * 10) / 10}`);
  return svg("svg", { viewBox: `0 0 ${width} 18`, class: "spark", role: "img", "aria-label": `Durations, at most ${took(high)}` },
    svg("polyline", { class: "line", points: points.join(" ") }));
}


