// What the gate's memory says about a test: attempts, known failures and quarantines, and the form that changes them.

import { ask, send, ApiError } from "./api.js";
import { badge, commitOf, el, moment, notice, outward } from "./dom.js";
import { Order } from "./order.js";
import { has, parts, say } from "./text.js";

/** `answer` is the server's; `form` is the open form, by test. A refresh of the page keeps both. */
const state = { answer: null, form: null, dag: "", query: {}, draw: () => undefined };
const order = new Order();

/** Loads the memory of a task. A task without one, and a server that cannot read it, show nothing of it. */
export async function loadMemory(dag, query, draw) {
  Object.assign(state, { dag, query, draw });
  const number = order.next();
  try {
    const answer = await ask(`dags/${encodeURIComponent(dag)}/memory`, query);
    // A later answer or change has arrived, and it is newer.
    if (!order.take("memory", number)) return;
    state.answer = answer;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return;
  }
  draw();
}

/** The server keeps a test by its folded id, as the gate compares it. */
function held(row) {
  const id = (row.test_id || "").trim().toLowerCase();
  return id && state.answer ? state.answer.tests[id] : undefined;
}

export function attempts(row, details) {
  if (!row.attempts || !row.attempts.length) return null;
  return [el("h4", {}, say("memory.attempts")), el("ol", { class: "attempts" }, row.attempts.map((one, place) => {
    const url = one.url || details.get(one.id)?.url;
    const name = say("run.id", { id: one.id });
    return el("li", {}, el("span", { class: "dim" }, `${place + 1}`), badge(one.outcome), url ? outward(url, name) : el("span", { class: "dim" }, name));
  }))];
}

/** A run and those attempts of its test whose links are in their details. */
export function linked(id, rows) {
  const row = rows.find((one) => one.id === id);
  return [...new Set([id, ...(row?.attempts || []).filter((one) => !one.url).map((one) => one.id)])];
}

/** Chips in the row of a test. */
export function chips(row, known) {
  const owner = row.owner ? el("span", { class: "chip" }, say("memory.owner", { owner: row.owner })) : null;
  return [owner, gateChip(row, known), row.attempts?.length ? el("span", { class: "chip" }, say("memory.attempt_count", { count: row.attempts.length })) : null];
}

function gateChip(row, known) {
  const found = held(row);
  const quarantine = found?.quarantine;
  if (quarantine) return el("span", { class: "chip" }, say(quarantine.past ? "memory.quarantine_ended" : "memory.in_quarantine"));
  const entry = standing(row, known);
  return entry ? el("span", { class: "chip" }, standingWord(entry.standing)) : null;
}

function standing(row, known) {
  const id = (row.test_id || "").trim().toLowerCase();
  return id ? (known || []).find((one) => one.test_id.trim().toLowerCase() === id) : undefined;
}

/** A standing in words; one that this version does not know stays as it is. */
function standingWord(standing) {
  return has(`standing.${standing}`) ? say(`standing.${standing}`) : standing;
}

function sinceText(key, nights, found, values = {}) {
  if (!nights) return say(`memory.${key}`, values);
  const since = { ...values, count: nights };
  return found.commit ? parts(`memory.${key}.since_commit`, { ...since, commit: commitOf(found.commit, found.commit_url) }) : say(`memory.${key}.since`, since);
}

/** When it broke: the first bad night and the last good one, with commit and address, and what changed between. */
function bounds(failing) {
  const nights = [["memory.first_bad", failing?.first_bad], ["memory.last_good", failing?.last_good]].filter(([, night]) => night).map(([key, night]) =>
    el("p", {}, el("b", {}, say(key)), " ", moment(night.at), night.commit ? [" · ", commitOf(night.commit, night.commit_url)] : null,
      night.address ? [" · ", outward(night.address, night.address)] : null));
  return failing?.changes_url ? [...nights, el("p", {}, outward(failing.changes_url, say("memory.changes_between")))] : nights;
}

/** The standing of a test at the verdict and now. */
export function standingOf(row, known) {
  const entry = standing(row, known);
  const found = held(row);
  const quarantine = found?.quarantine;
  const quarantined = quarantine ? { time: moment(quarantine.until), owner: quarantine.owner, reason: quarantine.reason } : null;
  // Their lines have the commit.
  const nights = bounds(found?.failing);
  const lines = [
    entry ? sinceText("verdict", entry.nights, nights.length ? {} : entry, { standing: standingWord(entry.standing).toLowerCase() }) : "",
    entry && !quarantine && entry.note ? entry.note : "",
    quarantine ? say(quarantine.past ? "memory.quarantine.past" : "memory.quarantine.until", quarantined) : "",
    found?.failing && !entry ? sinceText("failing", found.failing.nights, {}) : "",
  ].filter(Boolean);
  if (!lines.length && !nights.length) return null;
  return el("div", { class: "gate" }, lines.map((text) => el("p", { dir: "auto" }, text)), nights);
}

/** The standing of a test and what the viewer can do about it. */
export function memoryOf(row, known) {
  const lines = standingOf(row, known);
  const controls = actions(row, held(row));
  if (!lines && !controls) return null;
  return [el("h4", {}, say("memory.heading")), lines, controls];
}

function actions(row, found) {
  if (!found || !state.answer.may_edit) return null;
  if (state.form && state.form.id === row.test_id) return form(row, found);
  if (!found.quarantine && row.outcome !== "failed" && !found.failing) return null;
  return el("p", { class: "links" },
    el("button", { type: "button", id: `hold-${row.id}`, on: { click: () => open(row, found, false) } }, say(found.quarantine ? "memory.change" : "memory.hold")),
    found.quarantine ? el("button", { type: "button", id: `lift-${row.id}`, on: { click: () => open(row, found, true) } }, say("memory.lift")) : null);
}

function open(row, found, lift) {
  const { quarantine } = found;
  state.form = {
    id: row.test_id, lift, seen: quarantine ? quarantine.since : null, owner: state.answer.owner,
    reason: quarantine && !lift ? quarantine.reason : "", until: "14d", failed: "", busy: false,
  };
  state.draw();
}

function form(row, found) {
  const { lift, busy, failed } = state.form;
  const field = (name, text, hint) => el("label", { class: "field" }, text,
    el("input", { id: `${name}-${row.id}`, type: "text", name, value: state.form[name], disabled: busy, placeholder: hint, on: { input: (event) => { state.form[name] = event.target.value; } } }));
  return el("form", { class: "hold", on: { submit: (event) => { event.preventDefault(); save(row); } } },
    field("owner", say("memory.owner.field"), say("memory.owner.hint")),
    field("reason", say(lift ? "memory.reason.optional" : "memory.reason"), say("memory.reason.hint")),
    lift ? null : field("until", say("memory.until"), say("memory.until.hint")),
    el("p", { class: "links" },
      el("button", { type: "submit", id: `save-${row.id}`, disabled: busy }, say(lift ? "memory.lift" : "memory.save")),
      el("button", { type: "button", id: `drop-${row.id}`, on: { click: () => { state.form = null; state.draw(); } } }, say("memory.cancel"))),
    notice(failed, "bad"));
}

async function save(row) {
  const { lift, seen, owner, reason, until } = state.form;
  if (state.form.busy) return;
  Object.assign(state.form, { busy: true, failed: "" });
  state.draw();
  try {
    const change = { test_id: row.test_id, owner, reason, until: lift ? "" : until, seen, lift };
    const standing = await send(`dags/${encodeURIComponent(state.dag)}/quarantine`, state.query, change);
    // An answer about the memory before this change must not replace it.
    order.take("memory", order.next());
    state.answer.tests[row.test_id.trim().toLowerCase()] = standing;
    state.form = null;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (state.form) Object.assign(state.form, { busy: false, failed: error.message });
    // Somebody else may have changed it: show what is true now, and let the person decide again.
    if (error.status === 409) {
      await loadMemory(state.dag, state.query, state.draw);
      const now = state.answer.tests[row.test_id.trim().toLowerCase()];
      if (state.form) state.form.seen = now?.quarantine ? now.quarantine.since : null;
    }
  }
  state.draw();
}

/** Why nothing can be quarantined here, and the command that can; only for those who may. */
export function unreachable() {
  const { answer } = state;
  if (!answer || !answer.may_edit || !answer.why || !answer.command) return null;
  return el("p", { class: "notice" }, `${say("memory.unreachable", { why: answer.why })} `, el("code", { dir: "ltr" }, answer.command));
}
