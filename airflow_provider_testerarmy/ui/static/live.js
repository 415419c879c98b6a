// What a task that waits can tell: how long it takes as a rule, when its runs were last asked for, and an outage.

import { ask, ApiError } from "./api.js";
import { el, moment, notice, took } from "./dom.js";
import { say, worded } from "./text.js";

const state = { answer: null, busy: false };

/** Loads it anew on every refresh of a task that waits. */
export async function loadLive(dag, query, draw) {
  if (state.busy) return;
  state.busy = true;
  try {
    state.answer = await ask(`dags/${encodeURIComponent(dag)}/live`, query);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return;
  } finally {
    state.busy = false;
  }
  draw();
}

/** The elapsed time against the usual one, the last request, and what the task waits for. */
export function live(task) {
  const { answer } = state;
  if (!answer || task.finished || !answer.started) return null;
  const elapsed = Math.max(0, answer.now - answer.started);
  const { usual, outage } = answer;
  const share = usual ? Math.min(100, (elapsed / usual.seconds) * 100) : 0;
  return el("section", { class: "live", "aria-label": say("live.title") },
    el("p", { class: "facts" },
      el("span", {}, usual ? say("live.usual", { elapsed: took(elapsed), usual: took(usual.seconds), count: usual.nights }) : say("live.elapsed", { elapsed: took(elapsed) })),
      answer.answered ? el("span", {}, say("live.answered", { time: moment(answer.answered) })) : null),
    usual ? el("span", { class: elapsed > usual.seconds ? "lane whole late" : "lane whole", role: "img", "aria-label": say("live.share", { percent: String(Math.round((elapsed / usual.seconds) * 100)) }) },
      el("i", { vars: { "--from": "0%", "--width": `${share}%` } })) : null,
    outage ? notice(`${worded(outage.notice)} ${say("live.outage", { since: moment(outage.since) })}${outage.until ? ` ${say("live.until", { time: moment(outage.until) })}` : ""}`, "bad") : null);
}

/** A row with its test's title. Until that is known, a run has its place instead of its id. */
export function titled(row, place) {
  const title = state.answer?.titles[row.test_id] || row.title;
  return { ...row, title: title && title !== row.id ? title : say("live.run", { place: String(place + 1) }) };
}
