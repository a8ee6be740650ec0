// The same patient's other studies: a lane of their own, never among the similar cases.

import { el } from "./elements.js";
import { t } from "./language.js";
import { likeness } from "./likeness.js";
import { openIn } from "./links.js";
import { picture } from "./pictures.js";
import { day, what } from "./wording.js";

export class Lane {
  constructor(studies, page, on) {
    this.node = el(
      "section.lane",
      { "aria-labelledby": "lane-title" },
      el("h2", { id: "lane-title" }, t("lane.title")),
      el("p.muted.small", {}, studies.length ? t("lane.hint") : t("lane.none")),
      studies.length ? el("ol.lane-studies", {}, ...studies.map((study) => this.#study(study, on))) : null,
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
      el("div.tile-text", {}, el("b", {}, when), el("span.muted", {}, what(study)), likeness(study), el("div.actions", {}, openIn(study.links))),
    );
  }
}
