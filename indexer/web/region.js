// A rectangle drawn over a frame, by pointer or by keys.

import { t } from "./language.js";

const SMALLEST = 0.02;
const STEP = 0.02;
const FIRST = { left: 0.35, top: 0.35, width: 0.3, height: 0.3 };
const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

/** Draws on a viewer while it is on. `changed()` is called with every rectangle, `ask()` by the Enter key. */
export class RegionDrawing {
  constructor(viewer, { changed, ask }) {
    this.viewer = viewer;
    this.changed = changed;
    this.ask = ask;
    this.region = null;
    this.label = viewer.stage.getAttribute("aria-label");
    viewer.stage.addEventListener("pointerdown", (event) => this.#down(event));
    viewer.stage.addEventListener("keydown", (event) => this.#key(event));
  }

  get on() {
    return Boolean(this.viewer.drawing);
  }

  /** Begin to draw, or end. */
  set(on) {
    const { stage } = this.viewer;
    this.viewer.drawing = on;
    stage.classList.toggle("drawing", on);
    stage.setAttribute("role", on ? "application" : "img");
    stage.setAttribute("aria-label", on ? t("example.region.stage") : this.label);
    if (on) stage.tabIndex = 0;
    else stage.removeAttribute("tabindex");
    if (!on) this.put(null);
  }

  /** Draw this rectangle, {left, top, width, height} in fractions; null for none. */
  put(region) {
    this.region = region;
    this.viewer.overlay.mark("asked", region);
    this.changed(region);
  }

  #down(event) {
    if (!this.on || event.button !== 0) return;
    event.preventDefault();
    const { stage, overlay } = this.viewer;
    stage.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    const start = overlay.at(event);
    const move = (moved) => this.put(spanned(start, overlay.at(moved)));
    const done = () => {
      stage.removeEventListener("pointermove", move);
      if (this.region && (this.region.width < SMALLEST || this.region.height < SMALLEST)) this.put(null);
    };
    stage.addEventListener("pointermove", move);
    stage.addEventListener("pointerup", done, { once: true });
    stage.addEventListener("pointercancel", done, { once: true });
  }

  #key(event) {
    if (!this.on) return;
    const [right, down] = MOVES[event.key] ?? [];
    if (right === undefined && !["Enter", "Escape", "Delete", "Backspace"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Enter") return this.region && this.ask();
    if (right === undefined) return this.put(null);
    if (!this.region) return this.put({ ...FIRST });
    return this.put(event.shiftKey ? resized(this.region, right, down) : movedBy(this.region, right, down));
  }
}

const within = (value, least, most) => Math.min(most, Math.max(least, value));

function spanned(one, other) {
  const [x1, x2] = [one.x, other.x].map((x) => within(x, 0, 1)).sort((a, b) => a - b);
  const [y1, y2] = [one.y, other.y].map((y) => within(y, 0, 1)).sort((a, b) => a - b);
  return { left: x1, top: y1, width: x2 - x1, height: y2 - y1 };
}

function movedBy(region, right, down) {
  return { ...region, left: within(region.left + right, 0, 1 - region.width), top: within(region.top + down, 0, 1 - region.height) };
}

function resized(region, right, down) {
  return { ...region, width: within(region.width + right, SMALLEST, 1 - region.left), height: within(region.height + down, SMALLEST, 1 - region.top) };
}
