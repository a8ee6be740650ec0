// The example to look at: its series in rows, one frame large, and which part of it to ask with.

import { el } from "./elements.js";
import { FrameStrip } from "./frame_strip.js";
import { t } from "./language.js";
import { sameFrame } from "./maps.js";
import { RegionDrawing } from "./region.js";
import { Viewer } from "./viewer.js";
import { WindowTools } from "./window_tools.js";
import { dotted, what } from "./wording.js";

const SIZE = 640;

/** `on` has ask(reference, region). */
export class ExampleViewer {
  constructor(windowing, on) {
    this.on = on;
    this.byHand = false;
    this.strips = new Map();
    this.viewer = new Viewer({ size: SIZE, windowing, label: t("example.frame"), moved: (frame, byHand) => this.#moved(frame, byHand), drawn: () => this.tools.update() });
    this.tools = new WindowTools(windowing, this.viewer);
    this.drawing = new RegionDrawing(this.viewer, { changed: (region) => this.#drawn(region), ask: () => this.#askRegion() });
    this.caption = el("p.caption.muted", {}, "");
    this.hint = el("p.hint.muted.small", { id: "region-hint" }, t("example.region.hint"));
    this.spoken = el("p.offscreen", { role: "status" }, "");
    this.askRegion = el("button.primary", { type: "button", onclick: () => this.#askRegion() }, t("example.region.ask"));
    this.clearRegion = el("button", { type: "button", onclick: () => this.drawing.put(null) }, t("example.region.clear"));
    this.regionRow = el("div.region-row", {}, this.hint, el("div.row", {}, this.askRegion, this.clearRegion), this.spoken);
    this.regionRow.hidden = true;
    this.segments = el("div.segments", { role: "group", "aria-label": t("example.askwith") });
    this.list = el("div.strips", { role: "group", "aria-label": t("example.strip") });
    this.node = el("div.example-viewer", {}, this.viewer.node, this.caption, this.tools.node, this.segments, this.regionRow, this.list);
  }

  end() {
    this.viewer.end();
  }

  /** A study of the archive, beginning with one of its frames. */
  study(study, first) {
    this.named = study.study_instance_uid;
    this.shownSeries = study.series.filter((one) => one.frames.length);
    this.list.replaceChildren(...this.shownSeries.map((series) => this.#series(series)));
    const holder = this.shownSeries.find((one) => first && one.frames.some((frame) => sameFrame(frame, first)));
    const series = holder ?? this.shownSeries[0];
    if (!series) return;
    // A frame that was asked for and is not among those sampled is shown by itself.
    if (first && !holder) this.viewer.series([first], first, series.modality);
    else this.#showSeries(series, first ?? series.frames[0]);
  }

  /** What came with the answer to an upload: a data URL of one frame, `paired` with the best case; a region can be drawn on it. */
  upload(url, frame, modality, region, paired) {
    this.uploaded = true;
    this.node.hidden = !url;
    if (!url) return;
    this.viewer.picture(url, frame, modality);
    this.caption.textContent = paired ? t("example.paired.best") : "";
    this.#segments([["example.region", () => this.#toggleRegion(), Boolean(region), Boolean(frame)]]);
    if (region && sameFrame(region, frame)) this.#resume(region);
  }

  /** What was asked with is pressed. */
  asked(reference, region) {
    this.reference = reference;
    const frame = Boolean(reference.sop_instance_uid);
    this.#segments([
      ["example.study", () => this.on.ask({ study_instance_uid: this.named }), Boolean(reference.study_instance_uid), true],
      ["example.series", () => this.on.ask({ series_instance_uid: this.series.series_instance_uid }), Boolean(reference.series_instance_uid), Boolean(this.series)],
      ["example.frame.ask", () => this.on.ask({ ...this.viewer.frame }), frame && !region, Boolean(this.viewer.frame)],
      ["example.region", () => this.#toggleRegion(), frame && Boolean(region), Boolean(this.viewer.frame)],
    ]);
    if (region && !this.drawing.on) this.#resume(region);
    if (!region && this.drawing.on) this.#endRegion();
  }

  /** Show the frame that a match is nearest to. */
  pair(frame, rank) {
    for (const strip of this.strips.values()) strip.nearest(frame);
    if (this.byHand || this.drawing.on || this.uploaded) return;
    this.#reveal(frame);
    this.caption.textContent = t("example.paired", { n: rank });
  }

  #segments(parts) {
    this.segments.replaceChildren(
      ...parts.map(([key, asked, pressed, possible]) => {
        const why = t(key === "example.frame.ask" ? "example.frame.why" : `${key}.why`);
        return el("button.segment", { type: "button", "aria-pressed": String(pressed), title: why, disabled: !possible, onclick: asked }, t(key));
      }),
    );
    this.regionButton = this.segments.lastElementChild;
  }

  #series(series) {
    const strip = new FrameStrip({ label: dotted(what(series), t("viewer.strip")), picked: (frame) => this.#picked(series, frame) });
    this.strips.set(series.series_instance_uid, strip);
    strip.show(series.frames, null);
    const name = el("button.series-name", { type: "button", "aria-pressed": "false", onclick: () => this.#picked(series, series.frames[Math.floor(series.frames.length / 2)]) }, el("span", {}, what(series)), el("span.muted", {}, t("count.frames", { n: series.frames.length })));
    const node = el("div.strip", { "data-series": series.series_instance_uid }, name, strip.node);
    return node;
  }

  #picked(series, frame) {
    this.byHand = true;
    this.#showSeries(series, frame);
    this.#moved(frame, true);
  }

  #showSeries(series, frame) {
    if (this.series === series && this.viewer.frames === series.frames) this.viewer.show(frame);
    else this.viewer.series(series.frames, frame, series.modality);
    this.series = series;
    this.#mark(frame);
  }

  #reveal(frame) {
    const series = this.shownSeries?.find((one) => one.frames.some((each) => sameFrame(each, frame)));
    if (series) this.#showSeries(series, frame);
  }

  #moved(frame, byHand) {
    if (byHand) {
      this.byHand = true;
      this.caption.textContent = "";
      if (this.drawing.on) this.drawing.put(null);
    }
    this.#mark(frame);
  }

  #mark(frame) {
    for (const [uid, strip] of this.strips) {
      const is = uid === this.series?.series_instance_uid;
      strip.current(is ? frame : null, is);
      strip.node.previousElementSibling?.setAttribute("aria-pressed", String(is));
    }
  }

  // The region

  #toggleRegion() {
    if (this.drawing.on) return this.#endRegion();
    this.byHand = true;
    this.caption.textContent = "";
    this.drawing.set(true);
    this.regionRow.hidden = false;
    this.regionButton.setAttribute("aria-expanded", "true");
    this.viewer.stage.focus({ preventScroll: true });
    return undefined;
  }

  #endRegion() {
    this.drawing.set(false);
    this.regionRow.hidden = true;
    this.regionButton?.setAttribute("aria-expanded", "false");
  }

  #resume(region) {
    this.byHand = true;
    this.drawing.set(true);
    this.regionRow.hidden = false;
    this.drawing.put({ left: region.left, top: region.top, width: region.width, height: region.height });
  }

  #drawn(region) {
    this.hint.hidden = Boolean(region);
    this.askRegion.disabled = !region;
    this.clearRegion.disabled = !region;
    const percents = region && Object.fromEntries(Object.entries(region).map(([side, value]) => [side, Math.round(value * 100)]));
    this.spoken.textContent = region ? t("example.region.at", percents) : "";
  }

  #askRegion() {
    if (this.drawing.region && this.viewer.frame) this.on.ask({ ...this.viewer.frame }, this.drawing.region);
  }
}
