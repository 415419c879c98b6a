// What a person can do with a task: run it again, run again what did not pass, cancel its runs. Each action asks first.

import { ask, send, ApiError } from "./api.js";
import { el, moment, notice } from "./dom.js";
import { Order } from "./order.js";
import { has, say } from "./text.js";

const ACTIONS = ["rest", "all", "cancel"];
/** `offer` is the server's answer; `asked` is the action that waits for a confirmation. A refresh keeps both. */
const state = { offer: null, asked: "", busy: false, said: null, stamp: "", dag: "", query: {}, draw: () => undefined, done: () => undefined };
const order = new Order();

/** Loads what the viewer may do. Who may do nothing, sees nothing. `done` is called after an action. */
export async function loadActions(dag, query, task, draw, done) {
  Object.assign(state, { dag, query, draw, done });
  const stamp = `${task.try_number} ${task.state}`;
  if (stamp === state.stamp) return;
  // What was asked about an earlier state is no longer what the viewer sees.
  Object.assign(state, { stamp, asked: "" });
  await load();
}

async function load() {
  const number = order.next();
  let offer = null;
  try {
    offer = await ask(`dags/${encodeURIComponent(state.dag)}/actions`, state.query);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  // A later answer has arrived, and it is about a newer state of the task.
  if (!order.take("offer", number)) return;
  state.offer = offer;
  state.draw();
}

/** The buttons, and the question that one of them asks. `rows` are the runs as the page knows them. */
export function actions(rows) {
  const { offer, asked, said } = state;
  const result = said ? notice(said.text, said.kind) : null;
  if (!offer || !offer.may) return result;
  const possible = ACTIONS.filter((action) => !offer[action].why);
  const hints = [
    offer.rest.why && has(`actions.why.${offer.rest.why}`) ? say(`actions.why.${offer.rest.why}`) : "",
    ["kept", "service"].includes(offer.cancel.why) ? say(`actions.why.${offer.cancel.why}`) : "",
    offer.left ? say("actions.left", { count: offer.left }) : "",
  ].filter(Boolean);
  if (!possible.length && !hints.length) return result;
  return el("section", { class: "actions", "aria-label": say("actions.title") }, result,
    possible.length ? el("div", { class: "buttons" }, possible.map((action) => el("button", {
      type: "button", id: `action-${action}`, disabled: state.busy, "aria-expanded": String(asked === action), on: { click: () => open(action) },
    }, label(action)))) : null,
    asked && !offer[asked].why ? question(asked, rows) : null,
    hints.map((text) => el("p", { class: "dim" }, text)));
}

function label(action) {
  const { offer } = state;
  return action === "rest" ? say("actions.rest", { count: offer.rest.runs }) : say(`actions.${action}`);
}

function open(action) {
  Object.assign(state, { asked: state.asked === action ? "" : action, said: null });
  state.draw();
  document.getElementById("action-yes")?.focus();
}

function question(action, rows) {
  return el("div", { class: "question", role: "group", "aria-label": label(action) },
    el("ul", {}, costs(action, rows).map((text) => el("li", {}, text))),
    el("p", { class: "buttons" },
      el("button", { type: "button", id: "action-yes", class: "sure", disabled: state.busy, on: { click: () => perform(action) } }, say(`actions.${action}.sure`)),
      el("button", { type: "button", id: "action-no", disabled: state.busy, on: { click: () => close(action) } }, say("actions.no"))));
}

function close(action) {
  state.asked = "";
  state.draw();
  document.getElementById(`action-${action}`)?.focus();
}

/** What the action costs, in sentences. */
function costs(action, rows) {
  const { offer } = state;
  if (action === "cancel") {
    const { runs, count } = offer.cancel;
    const known = new Map(rows.map((row) => [row.id, row]));
    // The record does not say which runs have ended since; the page knows it of those that it has read.
    const active = runs.filter((id) => ["running", "queued", "", undefined].includes(known.get(id)?.outcome));
    const named = count > runs.length ? [] : active.map((id) => known.get(id)?.title || id);
    return [say("actions.cancel.runs", { count: named.length || count }), named.join(", "), say("actions.cancel.fails")].filter(Boolean);
  }
  return [
    action === "all" ? (offer.all.runs ? say("actions.all.runs", { count: offer.all.runs }) : say("actions.all.unknown")) : say("actions.rest.runs", { count: offer.rest.runs }),
    action === "rest" ? say("actions.rest.passes") : "",
    action === "rest" && offer.rest.issues ? say("actions.rest.issues") : "",
    offer.others ? say("actions.others", { count: offer.others }) : "",
    offer.testing ? say("actions.testing", { count: offer.testing }) : "",
  ].filter(Boolean);
}

async function perform(action) {
  if (state.busy) return;
  const { state: seen, try_number: number, others } = state.offer;
  Object.assign(state, { busy: true, said: null });
  state.draw();
  try {
    await send(`dags/${encodeURIComponent(state.dag)}/actions`, state.query, { action, state: seen, try_number: number, others });
    state.said = { text: say(`actions.${action}.done`, { time: moment(Date.now() / 1000) }), kind: "note" };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    state.said = { text: error.status === 409 ? say("actions.changed", { reason: error.message }) : `${error.title}. ${error.message}`, kind: "bad" };
  }
  Object.assign(state, { busy: false, asked: "", stamp: "" });
  state.draw();
  // The page shows what is true now; the buttons follow it.
  await state.done();
}
