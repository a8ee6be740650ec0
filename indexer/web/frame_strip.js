// The frames of a series in a row, small: one is current, the arrow keys go through them.

import { el, hinting } from "./elements.js";
import { t } from "./language.js";
import { picture } from "./pictures.js";
import { sameFrame } from "./maps.js";

const SIZE = 96;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };

/**
 * `picked(frame)` is called with the frame that is chosen. `first` stands before the others: the best one.
 * `expected` keeps the place free until the frames are known; a single frame needs no row.
 */
export class FrameStrip {
  constructor({ label, picked, first = null, expected = true }) {
    this.picked = picked;
    this.first = first;
    this.frames = [];
    this.node = hinting(el("div.frames.row-of-pictures", { role: "group", "aria-label": label, onkeydown: (event) => this.#key(event) }));
    this.node.hidden = !expected;
  }

  /** Show these frames, one of them current. */
  show(frames, current) {
    this.frames = frames;
    this.node.hidden = Boolean(this.first) && frames.length < 2;
    this.node.replaceChildren(
      ...(this.first ? [this.#thumb(this.first, t("viewer.strip.best"), "best")] : []),
      ...frames.map((frame, index) => this.#thumb(frame, t("viewer.strip.frame", { n: index + 1 }))),
    );
    this.current(current);
  }

  /** Which frame is shown large; null for none of these. */
  current(frame, reveal = false) {
    let tabbed = false;
    for (const thumb of this.node.children) {
      const is = sameFrame(thumb.frame, frame);
      thumb.setAttribute("aria-pressed", String(is));
      thumb.tabIndex = is && !tabbed ? 0 : -1;
      tabbed ||= is;
      if (is && reveal && !thumb.classList.contains("best")) this.#reveal(thumb);
    }
    if (!tabbed && this.node.firstElementChild) this.node.firstElementChild.tabIndex = 0;
  }

  /** Mark the frame that a match is nearest to. */
  nearest(frame) {
    for (const thumb of this.node.children) thumb.classList.toggle("nearest", sameFrame(thumb.frame, frame));
  }

  #thumb(frame, label, kind = null) {
    const thumb = el("button.thumb", { type: "button", "aria-label": label, title: label, onclick: () => this.picked(frame) }, picture(frame, SIZE, ""));
    if (kind) thumb.classList.add(kind);
    thumb.frame = frame;
    return thumb;
  }

  #key(event) {
    const step = STEPS[event.key];
    const next = step && [...this.node.children][[...this.node.children].indexOf(event.target) + step];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    if (!next) return;
    this.picked(next.frame);
    next.focus({ preventScroll: true });
    this.#reveal(next);
  }

  /** Scroll the row alone, never the page. */
  #reveal(thumb) {
    const { node } = this;
    const from = thumb.offsetLeft - node.offsetLeft;
    if (from < node.scrollLeft) node.scrollLeft = from - 8;
    else if (from + thumb.offsetWidth > node.scrollLeft + node.clientWidth) node.scrollLeft = from + thumb.offsetWidth - node.clientWidth + 8;
  }
}
