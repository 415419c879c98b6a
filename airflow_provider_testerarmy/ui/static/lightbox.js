// Screenshots: a gallery of small pictures, and a dialog that shows one in full. Arrow keys change the picture.

import { address } from "./api.js";
import { el, opening, outward } from "./dom.js";
import { state } from "./task_state.js";
import { say } from "./text.js";

/** The pictures of a run; with `only`, that one alone. Pictures without a copy are links. */
export function gallery(pictures, only = null) {
  const copies = pictures.filter((one) => one.copy);
  return el("ul", { class: only ? "pictures single" : "pictures" }, pictures.map((one, place) => {
    if (only && one !== only) return null;
    const caption = captionOf(one, place);
    if (!one.copy) return el("li", { class: "linked" }, outward(one.link, caption));
    const image = el("img", { alt: "", loading: "lazy" });
    image.src = source(one).href;
    return el("li", {}, el("figure", {},
      el("button", { type: "button", class: "enlarge", "aria-label": say("picture.enlarge", { caption }), on: { click: () => enlarge(pictures, copies.indexOf(one)) } }, image),
      el("figcaption", { dir: "auto" }, caption)));
  }));
}

function captionOf(one, place) {
  return one.of || say("picture.caption", { number: place + 1 });
}

function source(one) {
  return address(`dags/${encodeURIComponent(state.dag)}/screenshot`, { ...state.query, name: one.copy });
}

/** The browser keeps the focus inside a modal dialog, closes it on Escape, and returns the focus afterwards. */
function enlarge(pictures, first) {
  const copies = pictures.map((one, place) => ({ one, caption: captionOf(one, place) })).filter((each) => each.one.copy);
  let place = first;
  const box = el("dialog", { class: "lightbox", "aria-label": say("run.screenshots") });
  const move = (by) => {
    place = Math.min(copies.length - 1, Math.max(0, place + by));
    fill();
  };
  const fill = () => {
    const { one, caption } = copies[place];
    const image = el("img", { alt: caption });
    image.src = source(one).href;
    const button = (id, by, last) => el("button", { type: "button", id, "aria-disabled": String(place === last), on: { click: () => move(by) } },
      say(by < 0 ? "picture.previous" : "picture.next"));
    const focused = box.contains(document.activeElement) ? document.activeElement.id : "";
    box.replaceChildren(
      el("div", { class: "bar" },
        el("p", { role: "status", dir: "auto" }, say("picture.place", { number: place + 1, all: copies.length, caption })),
        el("span", { class: "links" }, opening(source(one), say("picture.alone")),
          copies.length > 1 ? [button("picture-previous", -1, 0), button("picture-next", 1, copies.length - 1)] : null,
          el("button", { type: "button", id: "picture-close", on: { click: () => box.close() } }, say("picture.close")))),
      image);
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
