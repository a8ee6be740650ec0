// The window of the pictures by hand: presets for CT, centre and width as numbers, and back to what is stored.

import { el } from "./elements.js";
import { t } from "./language.js";
import { PRESETS } from "./windowing.js";

let made = 0;

/** A row of controls for what `viewer` shows. */
export class WindowTools {
  constructor(windowing, viewer) {
    this.windowing = windowing;
    this.viewer = viewer;
    const id = `window-${(made += 1)}`;
    this.preset = el("select", { "aria-label": t("window.preset"), onchange: () => this.#choose() });
    this.center = this.#number(`${id}-center`, "window.center");
    this.width = this.#number(`${id}-width`, "window.width");
    this.reset = el("button.quiet", { type: "button", "aria-label": t("window.reset.label"), onclick: () => windowing.choose("own") }, t("window.reset"));
    this.node = el(
      "div.window-tools",
      { role: "group", "aria-label": t("window.title"), title: t("window.drag") },
      this.preset,
      el("span.muted", { "aria-hidden": "true" }, t("window.center.short")),
      this.center,
      el("span.muted", { "aria-hidden": "true" }, t("window.width.short")),
      this.width,
      this.reset,
    );
    this.node.hidden = true;
    this.update();
  }

  /** Show what the viewer shows now; what is being written stays, unless it cannot be meant. */
  update(anyway = false) {
    const { shown, own, modality } = this.viewer;
    this.node.hidden = !own;
    if (!own) return;
    const presets = modality === "CT" ? Object.keys(PRESETS) : [];
    const names = ["own", ...presets, ...(this.windowing.preset === "changed" ? ["changed"] : [])];
    this.preset.replaceChildren(...names.map((name) => el("option", { value: name }, t(`window.${name}`))));
    this.preset.value = this.windowing.isOwn ? "own" : this.windowing.preset;
    if (anyway || document.activeElement !== this.center) this.center.value = tidy(shown.center, shown.width);
    if (anyway || document.activeElement !== this.width) this.width.value = tidy(shown.width, shown.width);
    this.reset.disabled = this.windowing.isOwn;
  }

  #number(id, key) {
    const name = t(key);
    return el("input", { id, type: "number", step: "any", inputmode: "decimal", "aria-label": name, title: name, onchange: () => this.#write() });
  }

  #choose() {
    if (this.preset.value !== "changed") this.windowing.choose(this.preset.value);
  }

  #write() {
    const [center, width] = [Number(this.center.value), Number(this.width.value)];
    if (Number.isFinite(center) && width > 0) this.windowing.set(this.viewer.own, this.viewer.modality, { center, width });
    else this.update(true);
  }
}

const tidy = (value, width) => (Math.abs(width) >= 20 ? Math.round(value) : Number(value.toPrecision(3)));
