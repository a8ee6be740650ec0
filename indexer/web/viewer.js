// One frame of a series, large: scrolled by wheel, slider and keys, seen through the page's window.

import { el, svg } from "./elements.js";
import { t } from "./language.js";
import { Overlay } from "./overlay.js";
import { failed, rendered } from "./pictures.js";
import { between } from "./windowing.js";

let made = 0;

/** `moved(frame, byHand)` is called with every other frame, `drawn()` with every picture that is there. */
export class Viewer {
  constructor({ size, windowing, label, slider = true, drags = true, moved = () => {}, drawn = () => {} }) {
    this.size = size;
    this.windowing = windowing;
    this.moved = moved;
    this.drawn = drawn;
    this.frames = [];
    this.index = 0;
    this.modality = "";
    this.own = null;
    this.seen = null;
    this.overlay = new Overlay(size);
    this.image = el("img", { alt: "", draggable: "false" });
    this.image.addEventListener("load", () => this.#arrived());
    this.#makeFilter();
    this.stage = el("div.stage.picture.loading", { role: "img", "aria-label": label }, this.image, this.overlay.canvas, this.overlay.marks);
    this.stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    if (drags) this.stage.addEventListener("pointerdown", (event) => this.#drag(event));
    this.range = el("input", { type: "range", min: 1, step: 1, "aria-label": t("viewer.frame"), oninput: () => this.#go(Number(this.range.value) - 1) });
    this.position = el("output.position", {});
    this.scroller = el("div.scroller", {}, this.range, this.position);
    this.node = el("div.viewer", {}, this.stage, slider ? this.scroller : null, this.filterHolder);
    this.unfollow = windowing.follow(() => this.#window());
  }

  /** No longer follow the page's window. */
  end() {
    this.unfollow();
  }

  get frame() {
    return this.frames[this.index] ?? null;
  }

  /** The window that is to be seen: {center, width}; null for colour. */
  get shown() {
    return this.own && (this.windowing.of(this.own, this.modality) ?? this.own);
  }

  /** Show a series, beginning with one of its frames. */
  series(frames, frame, modality) {
    this.still = null;
    this.modality = modality;
    this.own = null;
    this.frames = frames;
    this.index = Math.max(0, frames.findIndex((one) => one.sop_instance_uid === frame.sop_instance_uid && one.frame_number === frame.frame_number));
    this.#scroller();
    this.#draw();
  }

  /** The frames of the series are known now; the one that is shown stays. */
  among(frames) {
    const { frame } = this;
    const index = frames.findIndex((one) => one.sop_instance_uid === frame?.sop_instance_uid && one.frame_number === frame?.frame_number);
    if (index < 0) return;
    [this.frames, this.index] = [frames, index];
    this.#scroller();
  }

  /** Show a picture that has come with the answer, of the one frame that is known. */
  picture(url, frame, modality) {
    this.still = url;
    this.modality = modality;
    this.frames = frame ? [frame] : [];
    this.index = 0;
    this.own = null;
    this.seen = null;
    this.#scroller();
    this.#put(url);
  }

  /** Show another frame of the series. */
  show(frame) {
    const index = this.frames.findIndex((one) => one.sop_instance_uid === frame.sop_instance_uid && one.frame_number === frame.frame_number);
    if (index >= 0 && index !== this.index) this.#go(index, false);
  }

  /** Go on by so many frames; false where the series ends. */
  step(by) {
    const index = Math.max(0, Math.min(this.frames.length - 1, this.index + by));
    if (index === this.index) return false;
    this.#go(index);
    return true;
  }

  #go(index, byHand = true) {
    this.index = index;
    this.#scroller();
    this.#draw();
    this.moved(this.frame, byHand);
  }

  #scroller() {
    const { length } = this.frames;
    this.scroller.classList.toggle("single", length < 2);
    this.range.disabled = length < 2;
    this.range.max = String(Math.max(1, length));
    this.range.value = String(this.index + 1);
    const text = t("viewer.position", { n: this.index + 1, of: length });
    this.range.setAttribute("aria-valuetext", text);
    this.position.textContent = `${this.index + 1}/${length}`;
  }

  async #draw() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const current = () => this.turn === turn && !this.still;
    const { frame } = this;
    if (!frame) return failed(this.stage, t("viewer.none"));
    this.stage.classList.add("loading");
    try {
      if (!this.own) {
        const first = await rendered(frame, this.size, null, current);
        if (!current() || !first) return;
        this.own = first.own;
        if (!this.shown || !this.windowing.of(this.own, this.modality)) return this.#take(first);
      }
      const found = await rendered(frame, this.size, this.own && this.windowing.of(this.own, this.modality), current);
      if (current() && found) this.#take(found);
    } catch (problem) {
      if (current()) this.#fail(problem);
    }
    return undefined;
  }

  #take({ url, own }) {
    // Every frame may have a window of its own; what it was asked with comes back with it.
    if (!this.windowing.of(this.own, this.modality)) this.own = own;
    this.seen = own && { ...own, inverted: own.inverted };
    this.#put(url);
  }

  #put(url) {
    this.stage.classList.remove("failed");
    if (this.image.parentNode !== this.stage) this.stage.replaceChildren(this.image, this.overlay.canvas, this.overlay.marks);
    if (this.image.src === url) this.#arrived();
    else this.image.src = url;
  }

  #arrived() {
    this.stage.classList.remove("loading");
    this.overlay.fit(this.image.naturalWidth, this.image.naturalHeight);
    this.#preview();
    this.drawn();
  }

  #fail(problem) {
    failed(this.stage, problem.message);
    this.drawn();
  }

  // The window

  #window() {
    if (this.still || !this.own) return;
    this.#preview();
    this.drawn();
    if (!this.windowing.dragging) this.#draw();
  }

  /** Show at once, by the browser alone, what the server will draw sharply. */
  #preview() {
    const { seen, shown } = this;
    const same = !seen || !shown || (Math.abs(seen.center - shown.center) < 1e-3 * shown.width && Math.abs(seen.width / shown.width - 1) < 1e-3);
    this.image.style.filter = same ? "" : `url(#${this.filterId})`;
    if (same) return;
    const { slope, intercept } = between(seen, shown);
    for (const channel of this.channels) {
      channel.setAttribute("slope", slope);
      channel.setAttribute("intercept", intercept);
    }
  }

  #makeFilter() {
    this.filterId = `window-of-${(made += 1)}`;
    this.channels = ["feFuncR", "feFuncG", "feFuncB"].map((name) => svg(name, { type: "linear", slope: 1, intercept: 0 }));
    const filter = svg("filter", { id: this.filterId, "color-interpolation-filters": "sRGB" }, svg("feComponentTransfer", {}, ...this.channels));
    this.filterHolder = svg("svg", { class: "offscreen", "aria-hidden": "true", width: 0, height: 0 }, filter);
  }

  #wheel(event) {
    if (event.ctrlKey || !this.frames.length || Math.abs(event.deltaY) < Math.abs(event.deltaX)) return;
    if (this.step(Math.sign(event.deltaY))) event.preventDefault();
  }

  #drag(event) {
    if (event.button !== 0 || event.pointerType === "touch" || !this.own || this.drawing) return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    const [start, x, y] = [this.shown, event.clientX, event.clientY];
    const move = (moved) => this.windowing.drag(this.own, this.modality, start, moved.clientX - x, moved.clientY - y);
    const done = () => {
      this.stage.removeEventListener("pointermove", move);
      if (this.windowing.dragging) this.windowing.settle();
    };
    this.stage.addEventListener("pointermove", move);
    this.stage.addEventListener("pointerup", done, { once: true });
    this.stage.addEventListener("pointercancel", done, { once: true });
  }
}
