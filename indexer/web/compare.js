// The example and one match side by side, large: through the matches, through the frames, through one window.

import { el } from "./elements.js";
import { t } from "./language.js";
import { likeness } from "./likeness.js";
import { openIn } from "./links.js";
import { exampleFrame, sameFrame } from "./maps.js";
import { bestFrame, framesOf } from "./match_row.js";
import { details } from "./references.js";
import { json } from "./requests.js";
import { Viewer } from "./viewer.js";
import { WindowTools } from "./window_tools.js";
import { day, dotted, what } from "./wording.js";

const SIZE = 1024;
const FRAMES = { ArrowUp: -1, ArrowDown: 1 };
const CASES = { ArrowLeft: -1, ArrowRight: 1 };
const MAP_AFTER_MS = 150;

export class Compare {
  constructor(dialog, page, moved) {
    this.dialog = dialog;
    this.page = page;
    this.moved = moved;
    this.viewers = [];
    dialog.addEventListener("keydown", (event) => this.#key(event));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => this.#leave());
    page.maps.follow(() => dialog.open && this.#map());
  }

  /** Show one of some matches of an answer. */
  open(answer, matches, index) {
    this.answer = answer;
    this.matches = matches;
    this.dialog.showModal();
    this.#show(index);
  }

  #leave() {
    for (const viewer of this.viewers) viewer.end();
    this.viewers = [];
    clearTimeout(this.mapTimer);
  }

  #key(event) {
    if (event.target.matches("input, select, summary")) return;
    if (CASES[event.key]) this.#show(this.index + CASES[event.key]);
    else if (FRAMES[event.key]) this.prior.step(FRAMES[event.key]);
    else return;
    event.preventDefault();
  }

  #show(index) {
    if (index < 0 || index >= this.matches.length) return;
    const step = document.activeElement?.dataset.step;
    this.#leave();
    this.index = index;
    const match = (this.match = this.matches[index]);
    this.moved(match);
    const { windowing } = this.page;
    this.own = new Viewer({ size: SIZE, windowing, label: t("compare.example"), moved: () => this.#map(), drawn: () => this.tools.update() });
    this.prior = new Viewer({ size: SIZE, windowing, label: t("match.case", { n: match.rank, what: what(match) }), moved: (frame) => this.#moved(frame), drawn: () => this.tools.update() });
    this.viewers = [this.own, this.prior];
    this.tools = new WindowTools(windowing, this.prior);
    this.dialog.replaceChildren(this.#head(match), this.#panes(match), this.#legends(match), this.#foot(match));
    (this.dialog.querySelector(`[data-step="${step}"]:not(:disabled)`) ?? this.dialog.querySelector("[data-close]")).focus();
    this.#fill(match);
  }

  #head(match) {
    const isPatient = this.matches === this.answer.same_patient;
    const title = isPatient ? t("compare.patient", { when: day(match.study_date) }) : t("compare.case", { n: match.rank, of: this.matches.length });
    return el(
      "header.compare-head",
      {},
      el("h2", { id: "compare-title" }, title),
      likeness(match),
      el("span.spring"),
      exampleFrame(match) ? this.page.maps.button() : null,
      this.#step(-1, t("compare.previous")),
      this.#step(1, t("compare.next")),
      el("button", { type: "button", "data-close": true, onclick: () => this.dialog.close() }, t("compare.close")),
    );
  }

  #panes(match) {
    const { query } = this.answer;
    const own = exampleFrame(match);
    const nothing = !own && !query.picture;
    const example = el("figure", {}, this.own.node, el("figcaption", {}, own ? t("example.paired", { n: match.rank }) : t("compare.example")));
    example.hidden = nothing;
    const kind = dotted(what(match), day(match.study_date));
    const prior = el("figure", {}, this.prior.node, el("figcaption", {}, t("compare.prior"), " · ", kind));
    return el("div.panes", { class: nothing ? "panes alone" : "panes" }, example, prior);
  }

  /** Room for them is always there: nothing moves when the map is switched on. */
  #legends(match) {
    return el("div.compare-legends", {}, exampleFrame(match) ? this.page.maps.legend() : null, match.place ? el("p.legend", {}, t("legend.region")) : null);
  }

  #foot(match) {
    return el("footer.compare-foot", {}, this.tools.node, details(match), openIn(match.links), el("strong.notice", {}, t("app.notice")));
  }

  async #fill(match) {
    const { query } = this.answer;
    const own = exampleFrame(match);
    const best = bestFrame(match);
    const modality = query.series.find((one) => one.series_instance_uid === match.answers_series_instance_uid)?.modality ?? match.modality;
    if (query.picture) this.own.picture(query.picture, this.#pictured(), modality);
    else if (own) this.own.series([own], own, modality);
    this.prior.series([best], best, match.modality);
    this.#moved(best);
    const frames = await framesOf(match);
    if (this.match === match) this.prior.among(frames);
    if (!own || query.picture) return;
    const series = await this.#exampleSeries(match);
    if (this.match === match && series) this.own.among(series.frames);
  }

  /** The frame that came with the answer to an upload. */
  #pictured() {
    const { query, matches } = this.answer;
    return (matches[0] && exampleFrame(matches[0])) ?? query.series[0]?.key_frame ?? null;
  }

  async #exampleSeries(match) {
    try {
      const study = await json(`api/studies/${this.answer.query.study_instance_uid}`);
      return study.series.find((one) => one.series_instance_uid === match.answers_series_instance_uid);
    } catch {
      return null;
    }
  }

  #moved(frame) {
    const { match } = this;
    this.prior.overlay.mark("place", sameFrame(frame, bestFrame(match)) ? match.place : null);
    const { region } = this.answer.query;
    this.own.overlay.mark("asked", region && sameFrame(region, this.own.frame) ? region : null);
    this.#map();
  }

  /** A moment after the last frame: a scroll through a series asks for one map, not for each. */
  #map() {
    clearTimeout(this.mapTimer);
    const [own, prior] = this.viewers;
    if (!own) return;
    own.overlay.map(null);
    prior.overlay.map(null);
    if (this.page.maps.on) this.mapTimer = setTimeout(() => this.#drawMap(this.match, own, prior), MAP_AFTER_MS);
  }

  async #drawMap(match, own, prior) {
    const pair = [own.frame, prior.frame];
    const first = [exampleFrame(match), bestFrame(match)];
    if (!pair[0] || !pair[1] || (match.maps && !sameFrame(pair[1], first[1]))) return;
    try {
      const found = await this.page.maps.of(match, ...pair);
      if (!found || this.viewers[0] !== own || own.frame !== pair[0] || prior.frame !== pair[1]) return;
      prior.overlay.map(found.match);
      own.overlay.map(sameFrame(own.frame, first[0]) || !match.maps ? found.example : null);
    } catch (problem) {
      this.page.maps.fail(problem);
    }
  }

  #step(step, text) {
    const possible = this.matches[this.index + step] !== undefined;
    return el("button", { type: "button", "data-step": step, disabled: !possible, onclick: () => this.#show(this.index + step) }, text);
  }
}
