// A match: its best frame large, its series in a row, how alike it is, and what can be done with it.

import { el, sign } from "./elements.js";
import { FrameStrip } from "./frame_strip.js";
import { t } from "./language.js";
import { likeness } from "./likeness.js";
import { openIn } from "./links.js";
import { exampleFrame, sameFrame } from "./maps.js";
import { whenSeen } from "./pictures.js";
import { carrying, details } from "./references.js";
import { json } from "./requests.js";
import { Viewer } from "./viewer.js";
import { day, what } from "./wording.js";

const SIZE = 384;
// Modalities whose series are mostly single frames: no place is kept free for a row of them.
const SINGLE = new Set(["CR", "DX", "MG", "RG", "OP", "PX", "IO", "SC"]);

/** The frames of a matched series that are indexed; the best one alone where more is not to be had. */
export async function framesOf(match) {
  try {
    const study = await json(`api/studies/${match.study_instance_uid}`);
    const series = study.series.find((one) => one.series_instance_uid === match.series_instance_uid);
    return series?.frames.length ? series.frames : [bestFrame(match)];
  } catch {
    return [bestFrame(match)];
  }
}

export const bestFrame = (match) => ({ sop_instance_uid: match.sop_instance_uid, frame_number: match.frame_number });

/** One row. `on` has compare(), choose(role), ask(), send(), whether it sends, pair(); `page` the windowing, maps and chosen cases. */
export class MatchRow {
  constructor(match, page, on) {
    this.match = match;
    this.page = page;
    this.kind = what(match);
    this.best = bestFrame(match);
    this.viewer = new Viewer({ size: SIZE, windowing: page.windowing, label: t("match.case", { n: match.rank, what: this.kind }), slider: false, drags: false, moved: (frame) => this.#moved(frame) });
    this.strip = new FrameStrip({ label: t("viewer.strip"), first: this.best, expected: !SINGLE.has(match.modality), picked: (frame) => this.#pick(frame) });
    this.node = this.#draw(on);
    this.unfollow = page.maps.follow(() => this.#map());
    whenSeen(this.node, () => this.#seen());
  }

  end() {
    this.viewer.end();
    this.unfollow();
  }

  #draw(on) {
    const { match } = this;
    const pair = () => on.pair();
    return el(
      SINGLE.has(match.modality) ? "li.match.single" : "li.match",
      { "data-study": match.study_instance_uid, onmouseenter: pair, onfocusin: pair },
      el(
        "button.match-picture",
        { type: "button", "aria-label": t("match.compare.label", { n: match.rank, what: this.kind }), onclick: () => on.compare() },
        this.viewer.node,
        el("span.rank", { "aria-hidden": "true" }, String(match.rank)),
      ),
      el(
        "div.match-body",
        {},
        el("div.match-head", {}, el("h2.match-title", {}, this.kind), el("span.muted", {}, day(match.study_date)), carrying(match), ...this.#flags()),
        likeness(match),
        this.strip.node,
        this.#actions(on),
        details(match),
      ),
    );
  }

  #flags() {
    const { match } = this;
    return [
      match.possible_same_person ? el("span.flag.warning", { title: t("match.same.why") }, t("match.same")) : null,
      match.carried_by_report ? el("span.flag", { title: t("match.report.why") }, t("match.report")) : null,
    ];
  }

  #actions(on) {
    const role = this.page.chosen.roleOf(this.match);
    const choose = (wanted) =>
      el("button", { type: "button", class: `small choose choose-${wanted}`, "aria-pressed": String(role === wanted), onclick: () => on.choose(wanted) }, sign(wanted), t(`match.${wanted}`));
    return el(
      "div.actions",
      {},
      choose("more"),
      choose("less"),
      el("span.spring"),
      openIn(this.match.links),
      el("button.small", { type: "button", "data-send": true, hidden: !on.sends, onclick: () => on.send() }, sign("send"), t("match.send")),
      el("button.small", { type: "button", onclick: () => on.ask() }, sign("ask"), t("match.ask")),
    );
  }

  async #seen() {
    const { match } = this;
    this.viewer.series([this.best], this.best, match.modality);
    this.#mark(this.best);
    this.#map();
    const frames = await framesOf(match);
    this.viewer.among(frames);
    this.strip.show(frames, this.viewer.frame);
    this.node.classList.toggle("single", frames.length < 2);
  }

  #pick(frame) {
    this.viewer.show(frame);
    this.#moved(frame);
  }

  #moved(frame) {
    this.strip.current(frame, true);
    this.#mark(frame);
    this.#map();
  }

  /** The place where the region was found is a place in the best frame. */
  #mark(frame) {
    this.viewer.overlay.mark("place", sameFrame(frame, this.best) ? this.match.place : null);
  }

  async #map() {
    const { match, viewer } = this;
    const example = exampleFrame(match);
    const drawable = this.page.maps.on && example && sameFrame(viewer.frame, this.best);
    if (!drawable) return viewer.overlay.map(null);
    try {
      const found = await this.page.maps.of(match, example, this.best);
      if (this.page.maps.on && sameFrame(viewer.frame, this.best)) viewer.overlay.map(found?.match ?? null);
    } catch (problem) {
      this.page.maps.fail(problem);
    }
    return undefined;
  }
}
