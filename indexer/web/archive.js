// What is indexed: the studies, newest first, each a question away.

import { el } from "./elements.js";
import { t } from "./language.js";
import { picture } from "./pictures.js";
import { json } from "./requests.js";
import { problemCard, state } from "./states.js";
import { day, dotted } from "./wording.js";

const PAGE = 24;

/** The list of studies in `content`. */
export class Archive {
  constructor(content, filters, ask) {
    this.content = content;
    this.filters = filters;
    this.ask = ask;
    this.asked = 0;
  }

  /** Another part of the page takes the place. */
  leave() {
    this.asked += 1;
  }

  /** Draw the list anew. */
  async show() {
    this.asked += 1;
    this.grid = el("ul.grid.studies");
    this.more = el("div.more");
    this.content.replaceChildren(
      el("div.content-head", {}, el("div", {}, el("h1", { id: "title" }, t("list.title")), el("p.muted", {}, t("list.hint")))),
      this.grid,
      this.more,
    );
    this.grid.append(...Array.from({ length: 12 }, () => el("li.tile.skeleton", { "aria-hidden": "true" })));
    await this.#read(null, this.asked);
  }

  async #read(cursor, asked) {
    this.content.setAttribute("aria-busy", "true");
    try {
      const query = this.filters.query(cursor ? { limit: PAGE, cursor } : { limit: PAGE });
      const page = await json(`api/studies?${query}`);
      if (asked === this.asked) this.#draw(page, cursor, asked);
    } catch (problem) {
      if (asked === this.asked) this.#fail(problem, cursor, asked);
    } finally {
      if (asked === this.asked) this.content.setAttribute("aria-busy", "false");
    }
  }

  #draw(page, cursor, asked) {
    if (!cursor) this.grid.replaceChildren();
    this.grid.append(...page.studies.map((study) => this.#tile(study)));
    this.filters.learn(page.studies);
    if (!this.grid.children.length && !page.next_cursor) return this.#empty();
    const button = el(
      "button",
      { type: "button", onclick: () => ((button.disabled = true), this.#read(page.next_cursor, asked)) },
      t("list.more"),
    );
    this.more.replaceChildren(...(page.next_cursor ? [button] : []));
    return null;
  }

  #fail(problem, cursor, asked) {
    const again = problemCard(problem, () => this.#read(cursor, asked));
    if (!cursor) this.grid.replaceChildren();
    this.more.replaceChildren(again);
  }

  #empty() {
    const key = this.filters.any ? "list.filtered" : "list.empty";
    this.more.replaceChildren(state(t(`${key}.title`), el("p", {}, t(key))));
  }

  #tile(study) {
    const kind = dotted(study.modalities.join(", "), study.body_parts.join(", ")) || t("list.study");
    const when = day(study.study_date);
    return el(
      "li.tile",
      {},
      el(
        "a.tile-link",
        {
          href: `?study=${study.study_instance_uid}`,
          title: study.study_instance_uid,
          "aria-label": t("list.find", { what: kind, when }),
          onclick: (event) => {
            if (event.metaKey || event.ctrlKey || event.shiftKey) return;
            event.preventDefault();
            this.ask({ study_instance_uid: study.study_instance_uid });
          },
        },
        picture(study.key_frame, 256, kind),
        el("span.tile-text", {}, el("span.tile-title", {}, kind), el("span.muted", {}, dotted(when, t("count.series", { n: study.series })))),
      ),
    );
  }
}
