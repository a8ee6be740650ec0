// Which values are black to white: of CT in Hounsfield units, of anything else as a change of each frame's own window.

/** CT windows as radiologists name them, in Hounsfield units. */
export const PRESETS = {
  lung: { center: -600, width: 1500 },
  bone: { center: 450, width: 1800 },
  soft: { center: 40, width: 400 },
  brain: { center: 40, width: 80 },
};

/** How far a drag goes: pixels for e-fold contrast, pixels for a whole width of brightness. */
const CONTRAST_PX = 180;
const BRIGHTNESS_PX = 320;

/** One choice for every picture of the page, so that an example and a match are seen alike. */
export class Windowing {
  #listeners = new Set();

  constructor() {
    this.hounsfield = null;
    this.change = null;
    this.preset = "own";
    this.dragging = false;
  }

  get isOwn() {
    return !this.hounsfield && !this.change;
  }

  /** Call with every change, until the function that comes back is called. */
  follow(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The window of a picture whose own is {center, width}; null where it keeps its own. */
  of(own, modality) {
    if (modality === "CT") return this.hounsfield;
    if (!own || !this.change) return null;
    const { shift, factor } = this.change;
    return { center: own.center + shift * own.width, width: own.width * factor };
  }

  choose(preset) {
    this.preset = preset;
    this.hounsfield = PRESETS[preset] ?? null;
    this.change = null;
    this.#tell();
  }

  /** Give a picture whose own window is `own` this one. */
  set(own, modality, { center, width }) {
    this.preset = "changed";
    if (modality === "CT") this.hounsfield = { center, width };
    else this.change = { shift: (center - own.center) / own.width, factor: width / own.width };
    this.#tell();
  }

  /** A drag by so many pixels from where `start` was seen. */
  drag(own, modality, start, right, down) {
    this.dragging = true;
    const width = Math.max(start.width * Math.exp(right / CONTRAST_PX), own.width / 1000);
    this.set(own, modality, { center: start.center + (down / BRIGHTNESS_PX) * start.width, width });
  }

  /** The drag is over: sharp pictures are worth their while. */
  settle() {
    this.dragging = false;
    this.#tell();
  }

  #tell() {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** How display values of one window become those of another: value * slope + intercept. */
export function between(seen, wanted) {
  const slope = seen.width / wanted.width;
  const intercept = (seen.center - wanted.center) / wanted.width + 0.5 - 0.5 * slope;
  return seen.inverted ? { slope, intercept: 1 - slope - intercept } : { slope, intercept };
}
