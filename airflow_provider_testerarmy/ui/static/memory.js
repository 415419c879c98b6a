// What the gate's memory says about a test: attempts, known failures and quarantines, and the form that changes them.

import { ask, send, ApiError } from "./api.js";
import { badge, capital, el, moment, notice, outward, plural } from "./dom.js";

/** `answer` is the server's; `form` is the open form, by test. A refresh of the page keeps both. */
const state = { answer: null, form: null, dag: "", query: {}, draw: () => undefined };

/** Loads the memory of a task. A task without one, and a server that cannot read it, show nothing of it. */
export async function loadMemory(dag, query, draw) {
  Object.assign(state, { dag, query, draw });
  try {
    state.answer = await ask(`dags/${encodeURIComponent(dag)}/memory`, query);
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
  return [el("h4", {}, "Attempts"), el("ol", { class: "attempts" }, row.attempts.map((one, place) => {
    const url = one.url || details.get(one.id)?.url;
    const name = `Run ${one.id}`;
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
  return [gateChip(row, known), row.attempts?.length ? el("span", { class: "chip" }, plural(row.attempts.length, "attempt")) : null];
}

function gateChip(row, known) {
  const found = held(row);
  const quarantine = found?.quarantine;
  if (quarantine) return el("span", { class: "chip" }, quarantine.past ? "Quarantine ended" : "In quarantine");
  const entry = standing(row, known);
  return entry ? el("span", { class: "chip" }, capital(entry.standing)) : null;
}

function standing(row, known) {
  const id = (row.test_id || "").trim().toLowerCase();
  return id ? (known || []).find((one) => one.test_id.trim().toLowerCase() === id) : undefined;
}

function sinceText(nights, commit) {
  return `${nights ? ` since ${plural(nights, "night")}` : ""}${commit ? `, first on commit ${commit.slice(0, 7)}` : ""}`;
}

/** The standing of a test and what the viewer can do about it. */
export function memoryOf(row, known) {
  const entry = standing(row, known);
  const found = held(row);
  const quarantine = found?.quarantine;
  const lines = [
    entry ? `At the verdict: ${entry.standing}${sinceText(entry.nights, entry.commit)}.` : "",
    quarantine ? `${quarantine.past ? "The quarantine ended" : "Quarantined until"} ${moment(quarantine.until)} · ${quarantine.owner} · ${quarantine.reason}` : "",
    found?.failing && !entry ? `Failing${sinceText(found.failing.nights, found.failing.commit)}.` : "",
  ].filter(Boolean);
  const controls = actions(row, found);
  if (!lines.length && !controls) return null;
  return [el("h4", {}, "Gate"), el("div", { class: "gate" }, lines.map((text) => el("p", { dir: "auto" }, text)), controls)];
}

function actions(row, found) {
  if (!found || !state.answer.may_edit) return null;
  if (state.form && state.form.id === row.test_id) return form(row, found);
  if (!found.quarantine && row.outcome !== "failed" && !found.failing) return null;
  return el("p", { class: "links" },
    el("button", { type: "button", id: `hold-${row.id}`, on: { click: () => open(row, found, false) } }, found.quarantine ? "Change the quarantine" : "Quarantine this test"),
    found.quarantine ? el("button", { type: "button", id: `lift-${row.id}`, on: { click: () => open(row, found, true) } }, "Lift the quarantine") : null);
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
    field("owner", "Owner", "person or team"),
    field("reason", lift ? "Reason (optional)" : "Reason", "at most 80 bytes"),
    lift ? null : field("until", "Until (UTC day, or a time such as 14d)", "2026-12-24 or 14d"),
    el("p", { class: "links" },
      el("button", { type: "submit", id: `save-${row.id}`, disabled: busy }, lift ? "Lift the quarantine" : "Quarantine"),
      el("button", { type: "button", id: `drop-${row.id}`, on: { click: () => { state.form = null; state.draw(); } } }, "Cancel")),
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
  return el("p", { class: "notice" }, `Tests cannot be quarantined here. ${answer.why} `, el("code", { dir: "ltr" }, answer.command));
}
