// Builds the page from text nodes; nothing is parsed as HTML, and links are https or point to Airflow itself.
// Airflow's iframe for plugin views allows scripts and the same origin (https://github.com/apache/airflow/pull/52257),
// so an injected script could act as the viewer.

import { morph } from "./morph.js";
import { locale, number, parts, say } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

/** A new element. `options` are attributes, plus `on` for listeners and `vars` for CSS properties. Children: nodes and texts. */
export function el(name, options = {}, ...children) {
  return fill(document.createElement(name), options, children);
}

/** Like el(), for SVG elements. */
export function svg(name, options = {}, ...children) {
  return fill(document.createElementNS(SVG, name), options, children);
}

const ATTRIBUTES = /^(class|id|role|type|value|name|for|colspan|scope|dir|lang|title|tabindex|alt|loading|width|height|open|hidden|disabled|selected|checked|placeholder|datetime|aria-[a-z]+|viewBox|preserveAspectRatio|x|y|x1|x2|y1|y2|cx|cy|r|rx|d|points)$/;

function fill(node, options, children) {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      listen(node, value);
    } else if (name === "vars") {
      for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    } else if (ATTRIBUTES.test(name)) {
      node.setAttribute(name, value === true ? "" : String(value));
    } else {
      throw new Error(`no attribute ${name}`);
    }
  }
  node.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** Adds listeners. They are read from a property on each event, so that morph.js can replace them on a kept node. */
function listen(node, listeners) {
  node.listeners = listeners;
  for (const name of Object.keys(listeners)) node.addEventListener(name, (event) => node.listeners?.[name]?.(event));
}

/** The URL if it is safe to link to, else "". Mirrors https() in reports/text.py. */
export function https(url) {
  return typeof url === "string" && /^https:\/\/[^\s@"'<>\\]+$/.test(url) ? url : "";
}

/** A link to another site in a new tab; plain text if the URL is not safe to link to. */
export function outward(url, text, options = {}) {
  const address = https(url);
  if (!address) return el("span", options, text);
  return anchor(address, "_blank", options, [text, el("span", { class: "out", "aria-hidden": "true" }, "↗"),
    el("span", { class: "unseen" }, say("link.new_tab"))]);
}

/** A commit: its first characters, as a link if the deployment has named its repository. */
export function commitOf(commit, url) {
  const text = el("code", { title: commit }, commit.slice(0, 12));
  return url ? outward(url, text) : text;
}

/** A link to one of the tab's own endpoints, in a new tab. */
export function opening(url, text, options = {}) {
  return anchor(url.href, "_blank", options, [text, el("span", { class: "out", "aria-hidden": "true" }, "↗"),
    el("span", { class: "unseen" }, say("link.new_tab"))]);
}

/** A link to one of the tab's own files, which the browser stores. */
export function downloading(url, text, options = {}) {
  return anchor(url.href, "_self", options, [text]);
}

/** A link to a page of Airflow, relative to its root. */
export function toAirflow(path, text, options = {}) {
  return anchor(new URL(path, airflow().baseURI).href, "_self", options, [text]);
}

function anchor(href, target, options, children) {
  const node = el("a", options, children);
  node.href = href;
  node.target = target;
  node.rel = "noopener noreferrer";
  listen(node, { click: (event) => {
    const host = airflow();
    if (host === document) return;
    // The sandbox of the iframe blocks _blank and _top links (measured on 3.3); a link in the parent document works.
    event.preventDefault();
    const proxy = host.createElement("a");
    proxy.href = href;
    proxy.target = event.ctrlKey || event.metaKey ? "_blank" : target;
    proxy.rel = "noopener noreferrer";
    proxy.style.display = "none";
    host.body.append(proxy);
    proxy.click();
    proxy.remove();
  } });
  return node;
}

/** The document of the Airflow page around this one; this document when it is opened on its own. */
export function airflow() {
  try {
    return window.parent.document || document;
  } catch {
    return document;
  }
}

// -- words

export const SIGNS = {
  passed: "✓", failed: "✕", errored: "!", unknown: "?", cancelled: "–", rejected: "⊘", skipped: "»", not_judged: "◌", running: "●", queued: "○",
};
export const ORDER = ["failed", "errored", "unknown", "cancelled", "rejected", "skipped", "not_judged", "passed", "running", "queued", ""];

export function took(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds) || seconds < 0) return "";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** A duration in few characters, for an axis. */
export function brief(seconds) {
  const [size, unit] = seconds < 99.5 ? [1, "s"] : seconds < 5940 ? [60, "min"] : [3600, "h"];
  const number = seconds / size;
  return `${number && number < 9.95 ? number.toFixed(1) : Math.round(number)} ${unit}`;
}

const MOMENT = { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
const DAY = { month: "short", day: "numeric" };
const formats = new Map();

/** The time zone from Airflow's settings, which its UI keeps in local storage; undefined for the browser's own. */
export function timezone() {
  try {
    const chosen = JSON.parse(window.localStorage.getItem("timezone"));
    if (typeof chosen === "string" && chosen) return new Intl.DateTimeFormat(undefined, { timeZone: chosen }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
  return undefined;
}

function written(stamp, options) {
  const timeZone = timezone();
  const key = `${timeZone} ${options === DAY}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale(), { ...options, timeZone }));
  return formats.get(key).format(new Date(stamp * 1000));
}

export function moment(stamp) {
  return stamp ? written(stamp, MOMENT) : "";
}

export function day(stamp) {
  return stamp ? written(stamp, DAY) : "";
}

export function percent(share) {
  return share === null || share === undefined ? "–" : `${Math.round(share * 100)}%`;
}

// -- elements that several pages share

export function badge(kind, text) {
  const name = kind in SIGNS ? kind : "none";
  return el("span", { class: `badge k-${name}` },
    SIGNS[kind] ? el("span", { "aria-hidden": "true", class: "sign" }, SIGNS[kind]) : null, text || say(`outcome.${name === "none" ? "not_judged" : name}`));
}

/** The chip of an issue, in the words of the reports: "Issue (severity 5)", "Warning (severity 2)". */
export function severity(issue) {
  const level = issue.severity;
  const kind = !issue.confirmed ? "" : ` s${level >= 4 ? "high" : level === 3 ? "mid" : "low"}`;
  return el("span", { class: `chip${kind}` },
    say(issue.confirmed ? "issue.confirmed" : "issue.warning", { severity: level === null ? say("issue.no_severity") : say("issue.severity", { level }) }));
}

/** A bar with the share of each outcome. */
export function shares(counts) {
  const parts = ORDER.filter((kind) => counts[kind]);
  return el("div", { class: "shares", "aria-hidden": "true" },
    parts.map((kind) => el("i", { class: `k-${kind}`, vars: { "flex-grow": String(counts[kind]) } })));
}

export function tally(counts) {
  return el("p", { class: "tally" }, ORDER.filter((kind) => counts[kind]).map((kind) =>
    el("span", { class: `k-${kind || "none"}` }, parts(`count.${kind || "none"}`, { number: el("b", {}, number(counts[kind])) }))));
}

export function empty(title, text, ...more) {
  return el("div", { class: "empty" }, el("h1", {}, title), text ? el("p", {}, text) : null, more);
}

export function notice(text, kind = "note") {
  return text ? el("p", { class: `notice ${kind}`, role: "status" }, text) : null;
}

export function show(...children) {
  const page = document.getElementById("page");
  morph(page, el("main", {}, children));
  if (page.hasAttribute("aria-busy")) page.removeAttribute("aria-busy");
}
