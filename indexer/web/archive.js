// What is indexed: the studies, newest first, each a question away.

import { count, day, dotted, el, seconds, series } from "./elements.js";
import { picture } from "./pictures.js";
import { json } from "./requests.js";
import { problemCard } from "./states.js";

const PAGE = 24;

/** The list of studies in `content`. */
export class Archive {
  constructor(content, filters, ask) {
    this.content = content;
    this.filters = filters;
    this.ask = ask;
    this.asked = 0;
  }

  /** Draw the list anew. */
  async show() {
    this.asked += 1;
    this.grid = el("ul.grid.studies");
    this.more = el("div.more");
    this.content.replaceChildren(
      el("div.content-head", {}, el("h1", { id: "title" }, "Indexed studies"), this.#hint()),
      this.grid,
      this.more,
    );
    this.grid.append(...Array.from({ length: 12 }, () => el("li.tile.skeleton", { "aria-hidden": "true" })));
    await this.#read(null, this.asked);
  }

  #hint() {
    return el("p.muted", {}, "Choose a study to find prior cases that look like it.");
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
      "Show more studies",
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
    const [title, advice] = this.filters.any
      ? ["No indexed study passes these filters", "Take one away, or reset them."]
      : [
          "Nothing is indexed yet",
          "Send a study to the archive: it appears here as soon as it is indexed. You can drop DICOM on this page meanwhile.",
        ];
    this.more.replaceChildren(
      el("div.state", {}, el("span.state-sign", { "aria-hidden": "true" }), el("h2", {}, title), el("p", {}, advice)),
    );
  }

  #tile(study) {
    const what = dotted(study.modalities.join(", "), study.body_parts.join(", ")) || "Study";
    const when = day(study.study_date);
    return el(
      "li.tile",
      {},
      el(
        "a.tile-link",
        {
          href: `?study=${study.study_instance_uid}`,
          title: study.study_instance_uid,
          "aria-label": `Find cases like this study: ${what}, ${when}`,
          onclick: (event) => {
            if (event.metaKey || event.ctrlKey || event.shiftKey) return;
            event.preventDefault();
            this.ask({ study_instance_uid: study.study_instance_uid });
          },
        },
        picture(study.key_frame, 256, what),
        el(
          "span.tile-text",
          {},
          el("span.tile-title", {}, what),
          el("span.muted", {}, dotted(when, series(study.series))),
        ),
      ),
    );
  }
}

/** The line at the top: how much is indexed, what waits, what stopped. */
export function statusLine(node, status) {
  const { indexed, waiting, leased, failed, skipped } = status.series;
  const parts = [el("span.dot", { class: `dot ${waiting + leased ? "busy" : "idle"}` })];
  parts.push(el("span", {}, el("b", {}, count(indexed)), " series indexed"));
  if (waiting + leased) {
    const lag = status.lag_s >= 1 ? `, ${seconds(status.lag_s)} behind` : "";
    parts.push(el("span", {}, `${count(waiting + leased)} to do${lag}`));
  }
  const reasons = Object.entries(status.reasons).map(([reason, number]) => `${reason}: ${number}`);
  if (failed) parts.push(el("span.bad", { title: reasons.join("\n") }, `${count(failed)} failed`));
  if (skipped) parts.push(el("span", { title: reasons.join("\n") }, `${count(skipped)} skipped`));
  const encoder = `${status.encoder.name}@${status.encoder.sha256.slice(0, 8)}`;
  parts.push(el("span.encoder", { title: `Encoder ${status.encoder.name}, SHA-256 ${status.encoder.sha256}` }, encoder));
  node.replaceChildren(...parts);
}
