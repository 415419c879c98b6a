// One run in full: reason, gate, attempts, issues, steps and screenshots.

import { copyButton } from "./copy.js";
import { el, outward, severity } from "./dom.js";
import { gallery, recordingButton } from "./lightbox.js";
import { attempts, memoryOf } from "./memory.js";
import { knownTests, noticeText, state } from "./task_state.js";
import { say } from "./text.js";

export function detail(row, known) {
  if (!known) {
    const text = noticeText() || say(state.answered.has(row.id) ? "run.no_details" : "page.loading");
    return el("div", { class: "detail" }, memoryOf(row, knownTests()), attempts(row, state.details),
      el("p", { class: "dim" }, text), el("p", { class: "dim" }, say("run.id", { id: row.id })));
  }
  return el("div", { class: "detail" },
    said(known), memoryOf(row, knownTests()), attempts(row, state.details),
    known.findings.length ? [el("h4", {}, say("task.issues")), el("ul", { class: "cards" }, known.findings.map(finding))] : null,
    known.steps.length ? [el("h4", {}, say("run.steps")), el("ol", { class: "steps" }, known.steps.map(step))] : null,
    known.pictures.length ? [el("h4", {}, say("run.screenshots")), gallery(row.id, known)] : null,
    known.left_out ? el("p", { class: "dim" }, say("run.truncated", { what: known.left_out })) : null,
    runLinks(row, known));
}

export function said(known) {
  if (!known.reason && !known.code) return null;
  return el("p", { class: "said", dir: "auto" }, known.code ? el("b", {}, `${known.code} `) : null, known.reason);
}

export function runLinks(row, known) {
  const values = { id: row.id, test: known.test_id, status: known.status };
  return el("p", { class: "links" },
    known.url ? outward(known.url, say("run.open")) : null,
    recordingButton(row.id, known),
    copyButton(known),
    el("span", { class: "dim" }, known.test_id ? say("run.ids_test", values) : say("run.ids", values)));
}

export function finding(issue) {
  // The service often describes an issue by what was expected and what happened, which stand below.
  const repeats = issue.expected && issue.actual && issue.description.includes(issue.expected) && issue.description.includes(issue.actual);
  return el("li", { class: "card" },
    el("p", { class: "cardhead" }, severity(issue), el("b", { dir: "auto" }, issue.name)),
    issue.description && !repeats ? el("p", { class: "said", dir: "auto" }, issue.description) : null,
    issue.expected || issue.actual ? el("dl", {},
      issue.expected ? [el("dt", {}, say("run.expected")), el("dd", { dir: "auto" }, issue.expected)] : null,
      issue.actual ? [el("dt", {}, say("run.actual")), el("dd", { dir: "auto" }, issue.actual)] : null) : null,
    issue.reproduction.length ? el("details", {}, el("summary", {}, say("run.reproduce")),
      el("ol", {}, issue.reproduction.map((text) => el("li", { dir: "auto" }, text)))) : null,
    issue.url ? el("p", {}, outward(issue.url, say("run.page"))) : null);
}

export function step(one) {
  return el("li", { class: one.passed ? "k-passed" : "k-failed" },
    el("span", { class: "sign", "aria-hidden": "true" }, one.passed ? "✓" : "✕"),
    el("div", { class: "words" },
      el("p", {}, el("span", { class: "unseen" }, say(one.passed ? "run.step_passed" : "run.step_failed"), " "), el("span", { dir: "auto" }, one.title),
        one.kind ? el("span", { class: "dim" }, ` ${one.kind}`) : null),
      one.summary ? el("p", { class: "dim said", dir: "auto" }, one.summary) : null,
      one.error || one.code ? el("p", { class: "error", dir: "auto" }, one.code ? el("b", {}, `${one.code} `) : null, one.error) : null,
      one.hint ? el("p", { class: "hint" }, el("b", {}, say("run.hint"), " "), one.hint) : null),
    el("span", { class: "took" }, one.time, one.bar ? lane(one.bar[0], one.bar[1]) : null));
}

export function lane(start, width) {
  return el("span", { class: "lane", "aria-hidden": "true" }, el("i", { vars: { "--from": `${start}%`, "--width": `${width}%` } }));
}
