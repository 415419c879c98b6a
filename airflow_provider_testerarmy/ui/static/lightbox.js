// Screenshots and recordings: a gallery of small pictures, and a dialog that shows one in full. Arrow keys change it.
// A recording is at the service's store, so nothing of it is loaded before the viewer asks for it.

import { address } from "./api.js";
import { el, https, opening, outward } from "./dom.js";
import { state } from "./task_state.js";
import { say } from "./text.js";

/** The pictures of a run; with `only`, that one alone. Pictures without a copy are links. */
export function gallery(id, known, only = null) {
  const { pictures } = known;
  const copies = pictures.filter((one) => one.copy);
  return el("ul", { class: only ? "pictures single" : "pictures" }, pictures.map((one, place) => {
    if (only && one !== only) return null;
    const caption = captionOf(one, place);
    if (!one.copy) return el("li", { class: "linked" }, outward(one.link, caption));
    const image = el("img", { alt: "", loading: "lazy" });
    image.src = source(one.copy).href;
    return el("li", {}, el("figure", {},
      el("button", { type: "button", class: "enlarge", "aria-label": say("picture.enlarge", { caption }), on: { click: () => enlarge(itemsOf(id, known), copies.indexOf(one)) } }, image),
      el("figcaption", { dir: "auto" }, caption)));
  }));
}

function captionOf(one, place) {
  return one.of || one.step || say("picture.caption", { number: place + 1 });
}

function source(name) {
  return address(`dags/${encodeURIComponent(state.dag)}/screenshot`, { ...state.query, name });
}

/** A button that plays the recording of a run, and says from where; nothing without one. */
export function recordingButton(id, known) {
  const host = hostOf(known.video);
  if (!host) return null;
  return el("button", { type: "button", class: "recording", on: { click: () => {
    const items = itemsOf(id, known);
    enlarge(items, items.length - 1, true);
  } } }, say("recording.play", { host }));
}

function hostOf(url) {
  return https(url) ? new URL(url).host : "";
}

/** What the dialog shows of a run: the copies of its screenshots, and its recording as the last. */
function itemsOf(id, known) {
  const copies = known.pictures.map((one, place) => ({ one, caption: captionOf(one, place) })).filter((each) => each.one.copy);
  return hostOf(known.video) ? [...copies, { run: id, url: known.video, caption: say("run.recording") }] : copies;
}

/** The recording in a frame of its own; until somebody asks for it, a button. */
function recording(item, play) {
  if (!item.loaded) {
    return el("p", { class: "unloaded" }, el("button", { type: "button", id: "recording-play", on: { click: play } },
      say("recording.play", { host: hostOf(item.url) })));
  }
  const frame = el("iframe", { title: item.caption });
  frame.src = address(`dags/${encodeURIComponent(state.dag)}/recording`, { ...state.query, run: item.run }).href;
  return [frame, el("p", { class: "dim" }, say("recording.expired"))];
}

function shown(item, play) {
  if (item.run) return recording(item, play);
  const { copy, before } = item.one;
  if (!before) return picture(copy, item.caption);
  return el("div", { class: "sides" }, [["before", before], ["after", copy]].map(([side, name]) => {
    const text = say(`picture.${side}`);
    return el("figure", {}, el("figcaption", {}, text), picture(name, `${item.caption} · ${text}`));
  }));
}

function picture(name, alt) {
  const image = el("img", { alt });
  image.src = source(name).href;
  return image;
}

/** The browser keeps the focus inside a modal dialog, closes it on Escape, and returns the focus afterwards. */
function enlarge(items, first, load = false) {
  let place = first;
  if (load) items[first].loaded = true;
  const box = el("dialog", { class: "lightbox", "aria-label": say("run.screenshots") });
  const move = (by) => {
    const next = Math.min(items.length - 1, Math.max(0, place + by));
    if (next === place) return;
    place = next;
    fill();
  };
  const fill = () => {
    const item = items[place];
    const play = () => {
      item.loaded = true;
      fill();
      document.getElementById("picture-close").focus();
    };
    const button = (id, by, last) => el("button", { type: "button", id, "aria-disabled": String(place === last), on: { click: () => move(by) } },
      say(by < 0 ? "picture.previous" : "picture.next"));
    const focused = box.contains(document.activeElement) ? document.activeElement.id : "";
    box.replaceChildren(
      el("div", { class: "bar" },
        el("p", { role: "status", dir: "auto" }, say("picture.place", { number: place + 1, all: items.length, caption: item.caption })),
        el("span", { class: "links" }, item.run ? outward(item.url, say("recording.alone")) : opening(source(item.one.copy), say("picture.alone")),
          items.length > 1 ? [button("picture-previous", -1, 0), button("picture-next", 1, items.length - 1)] : null,
          el("button", { type: "button", id: "picture-close", on: { click: () => box.close() } }, say("picture.close")))),
      ...[shown(item, play)].flat());
    if (focused) document.getElementById(focused)?.focus();
  };
  box.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    move(by);
  });
  box.addEventListener("close", () => box.remove());
  fill();
  document.body.append(box);
  box.showModal();
  document.getElementById("picture-close").focus();
}
