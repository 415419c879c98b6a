// What the tries of a task have said, one beside the other, and the earlier runs of each test.

import { ask, ApiError } from "./api.js";
import { badge, el, moment, tally } from "./dom.js";
import { Order } from "./order.js";
import { say } from "./text.js";

/** `picked` is the number of the try that is shown; 0 for the newest, which the page itself shows. */
const state = { answer: null, picked: 0, draw: () => undefined };
const order = new Order();

/** Loads the tries. A task without a list of them, as before Airflow 3.3, shows the newest try alone. */
export async function loadTries(dag, query, draw) {
  state.draw = draw;
  const number = order.next();
  try {
    const answer = await ask(`dags/${encodeURIComponent(dag)}/tries`, query);
    // A later answer has arrived, and it is newer.
    if (!order.take("tries", number)) return;
    state.answer = answer;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return;
  }
  draw();
}

/** The switch between the tries, and what an earlier one said; nothing for a task with one try. */
export function tries(task) {
  const earlier = (state.answer?.tries || []).filter((one) => one.try < task.try_number);
  if (!earlier.length) return null;
  const newest = state.answer.tries.find((one) => one.try === task.try_number);
  const shown = earlier.find((one) => one.try === state.picked);
  return el("section", { class: "tries", "aria-label": say("tries.title") },
    el("div", { class: "choices", role: "group", "aria-label": say("tries.title") },
      earlier.map((one) => choice(one, one === shown)),
      choice(newest || { try: task.try_number, verdict: task.finished ? "" : "running" }, !shown)),
    shown ? said(shown) : null);
}

function choice(one, pressed) {
  return el("button", {
    type: "button", class: "choice try", id: `try-${one.try}`, "aria-pressed": String(pressed), on: { click: () => pick(one.try) },
  }, say("tries.try", { number: String(one.try) }), badge(one.verdict, one.verdict ? "" : say("tries.none")));
}

function pick(number) {
  const isEarlier = state.answer.tries.some((one) => one.try > number);
  state.picked = isEarlier ? number : 0;
  state.draw();
}

function said(one) {
  return el("div", { class: `said-by k-${one.verdict || "none"}` },
    el("p", { class: "dim" }, say("tries.ended", { number: String(one.try), time: moment(one.at) })),
    Object.keys(one.counts).length ? tally(one.counts) : null,
    el("ul", { class: "reasons" }, one.reasons.map((reason) => el("li", { dir: "auto" }, reason.replace(/ https:\/\/\S+$/, "")))),
    one.tests.length ? el("ul", { class: "tried" }, one.tests.map((test) => el("li", {}, badge(test.outcome), el("span", { dir: "auto" }, test.title)))) : null,
    one.more ? el("p", { class: "dim" }, say("tries.more", { count: one.more })) : null);
}

/** A row with the earlier runs of its test. A gate that confirms failures has listed them already. */
export function withRounds(row) {
  const earlier = (state.answer?.rounds[row.test_id] || []).filter((one) => one.id !== row.id);
  if (!earlier.length || row.attempts?.length) return row;
  return { ...row, attempts: [...earlier, { id: row.id, outcome: row.outcome, url: row.url }] };
}
