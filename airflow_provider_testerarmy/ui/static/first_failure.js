// The failure that the page opens with: its failing step, expected against actual, its standing, and its picture.

import { badge, el } from "./dom.js";
import { gallery } from "./lightbox.js";
import { chips, standingOf } from "./memory.js";
import { finding, runLinks, said, step } from "./run_detail.js";
import { firstBad, knownTests, state } from "./task_state.js";
import { say } from "./text.js";

export function firstFailure(act) {
  const row = firstBad();
  const known = row && state.details.get(row.id);
  if (!known) return null;
  const steps = known.steps.filter((one) => !one.passed).slice(0, 1);
  const [issue] = known.findings;
  const pictures = pictured(known, issue);
  // The issue or the step usually says the same as the run's reason; a fact stands once.
  const texts = [issue?.name, issue?.description, issue?.actual, steps[0]?.error, steps[0]?.summary];
  const reason = known.reason && texts.some((text) => text && (text.includes(known.reason) || known.reason.includes(text))) ? null : said(known);
  return el("section", { class: `first k-${row.outcome}`, "aria-labelledby": "first" },
    el("div", { class: "bar" },
      el("h2", { id: "first" }, badge(row.outcome), " ", el("span", { dir: "auto" }, row.title || say("runs.untitled", { id: row.id }))),
      el("span", { class: "flags" }, chips(row, knownTests()), row.flaky ? el("span", { class: "chip" }, say("outcome.flaky")) : null)),
    el("div", { class: pictures.length ? "columns" : "column" },
      el("div", { class: "findings" }, reason,
        steps.length ? el("ol", { class: "steps" }, steps.map(step)) : null,
        issue ? el("ul", { class: "cards" }, finding(issue)) : null,
        standingOf(row, knownTests())),
      pictures.length ? el("div", { class: "shown" }, gallery(row.id, known, pictures[0])) : null),
    el("p", { class: "links" }, el("button", { type: "button", class: "plain", id: "first-more", on: { click: () => act.jump(row.id) } }, say("first.more"))),
    runLinks({ ...row, id: row.id }, known));
}

/** The picture of the issue, else that of the failed step, else the last one: it shows the page as the run left it. */
function pictured(known, issue) {
  const copies = known.pictures.filter((one) => one.copy);
  const own = issue && copies.find((one) => one.of && issue.name.startsWith(one.of.replace(/…$/, "")));
  const ofStep = copies.find((one) => one.before) || copies.find((one) => one.failed);
  return own ? [own] : ofStep ? [ofStep] : copies.slice(-1);
}
