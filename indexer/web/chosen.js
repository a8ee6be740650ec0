// Chosen cases: more like these, less like those; each a chip that can be taken away.

import { el, sign, toast } from "./elements.js";
import { t } from "./language.js";
import { picture } from "./pictures.js";
import { day, dotted, what } from "./wording.js";

const MOST = 20;

/** The cases that refine a question; `changed` is called with every one that comes or goes. */
export class Chosen {
  constructor(changed) {
    this.changed = changed;
    this.cases = [];
  }

  get more() {
    return this.#of("more");
  }

  get less() {
    return this.#of("less");
  }

  /** "more", "less" or null: what a match was chosen as. */
  roleOf(match) {
    return this.cases.find((one) => one.match.series_instance_uid === match.series_instance_uid)?.role ?? null;
  }

  /** Choose a match, choose it the other way, or take it away by the same click again. */
  toggle(match, role) {
    const before = this.roleOf(match);
    this.cases = this.cases.filter((one) => one.match.series_instance_uid !== match.series_instance_uid);
    if (before !== role) {
      if (this.cases.length >= MOST) return toast(t("chosen.full"));
      this.cases.push({ match, role });
    }
    return this.changed();
  }

  clear() {
    this.cases = [];
  }

  /** The chips; null while nothing is chosen. */
  chips() {
    if (!this.cases.length) return null;
    const clear = () => {
      this.clear();
      this.changed();
    };
    return el(
      "section.chosen",
      { "aria-label": t("chosen.title") },
      el("h2", {}, t("chosen.title")),
      el("ul", {}, ...this.cases.map((one) => el("li", {}, this.#chip(one)))),
      el("button.quiet", { type: "button", onclick: clear }, t("chosen.clear")),
    );
  }

  #chip({ match, role }) {
    const name = dotted(what(match), day(match.study_date));
    return el(
      "span.chip",
      { class: `chip chip-${role}`, title: name },
      picture(match, 96, name),
      el("span", {}, t(`chosen.${role}`)),
      el("button.chip-remove", { type: "button", "aria-label": t("chosen.remove", { what: name }), onclick: () => this.toggle(match, role) }, sign("close")),
    );
  }

  #of(role) {
    return this.cases.filter((one) => one.role === role).map(({ match }) => match.series_instance_uid);
  }
}
