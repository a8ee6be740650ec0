// The same patient's other studies: a lane of their own, never among the similar cases.

import { el, hinting } from "./elements.js";
import { t } from "./language.js";
import { likeness } from "./likeness.js";
import { openIn } from "./links.js";
import { picture } from "./pictures.js";
import { ago, day, what } from "./wording.js";

export class Lane {
  constructor({ same_patient: studies, query }, on) {
    this.asked = query.series.find((one) => one.study_date)?.study_date ?? null;
    this.node = el(
      "section.lane",
      { "aria-labelledby": "lane-title" },
      el("h2", { id: "lane-title" }, t("lane.title")),
      el("p.muted.small", {}, studies.length ? t("lane.hint") : t("lane.none")),
      studies.length ? hinting(el("ol.lane-studies.row-of-pictures", {}, ...studies.map((study) => this.#study(study, on)))) : null,
    );
  }

  end() {
    // Nothing here follows the page.
  }

  #study(study, on) {
    const when = day(study.study_date);
    return el(
      "li.lane-study",
      { "data-study": study.study_instance_uid },
      el("button.match-picture", { type: "button", "aria-label": t("lane.compare", { when }), onclick: () => on.comparePatient(study) }, picture(study, 256, "")),
      el("div.tile-text", {}, el("b", {}, when), el("span.when", {}, ago(study.study_date, this.asked)), el("span.muted", {}, what(study)), likeness(study), el("div.actions", {}, openIn(study.links))),
    );
  }
}
