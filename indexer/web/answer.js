// The answer: prior cases in rank order, the same patient's studies apart, or why there is none.

import { el, sign } from "./elements.js";
import { t } from "./language.js";
import { isHardlyAlike, isOtherKind } from "./likeness.js";
import { MatchRow } from "./match_row.js";
import { Lane } from "./lane.js";
import { exampleFrame } from "./maps.js";
import { problemCard, refusalCard, state } from "./states.js";
import { dotted, milliseconds } from "./wording.js";

/** An answer with the matches that are hardly alike behind the others, and how many are not: `alike`. The ranks stay. Of a question with words or chosen cases, `isRefined`, none is behind; where modalities were asked for, none is of another kind. */
export function ordered(answer) {
  const { filters, text, reports, unused_reports: unused, more, less, series } = answer.query;
  const isRefined = Boolean(text.trim() || (reports && !unused) || more.length || less.length);
  const matches = answer.matches.map((match) => ({ ...match, isOtherKind: !filters.modality.length && isOtherKind(match, series) }));
  const hardly = isRefined ? [] : matches.filter(isHardlyAlike);
  const alike = matches.filter((match) => !hardly.includes(match));
  return { ...answer, matches: [...alike, ...hardly], alike: alike.length, isRefined };
}

/** The answer in `content`. `on` has ask, compare, choose, pair, send (or null), home, cancel; `page` what rows share. */
export class Answer {
  constructor(content, page, on) {
    this.content = content;
    this.page = page;
    this.on = on;
    this.rows = [];
  }

  /** Cases may be sent from now on. What is drawn already stays: somebody is at work with it. */
  offer(send) {
    this.on.send = send;
    for (const button of this.content.querySelectorAll("[data-send]")) button.hidden = false;
  }

  /** Another part of the page takes the place. */
  leave() {
    for (const row of this.rows) row.end();
    this.rows = [];
  }

  /** The question is on its way. */
  asking() {
    this.leave();
    this.content.setAttribute("aria-busy", "true");
    const rows = Array.from({ length: 4 }, () => el("li.match.skeleton", { "aria-hidden": "true" }, el("span.picture"), el("span.match-body")));
    this.content.replaceChildren(this.#head(t("asking.title"), el("p.muted", {}, "\u00a0")), this.#chips(), el("ul.matches", {}, ...rows));
  }

  /** The question went wrong. */
  failed(problem, again) {
    this.leave();
    this.content.setAttribute("aria-busy", "false");
    this.content.replaceChildren(this.#head(t("answer.refused")), this.#chips(), problemCard(problem, again));
  }

  /** Draw an ordered answer; `narrowed` says that filters were set. */
  show(answer, narrowed) {
    this.leave();
    this.content.setAttribute("aria-busy", "false");
    const { matches } = answer;
    const facts = dotted(t("answer.took", { time: milliseconds(answer.took_ms) }), answer.encoder && t("answer.encoder", { name: answer.encoder.name }));
    const lane = answer.query.same_patient ? new Lane(answer, this.on) : null;
    if (lane) this.rows.push(lane);
    const parts = answer.refused
      ? [this.#head(t("answer.none.title")), this.#chips(), refusalCard(answer.refused)]
      : [this.#head(titleOf(answer), el("p.muted", {}, facts), matches), this.#legends(matches), this.#chips()];
    this.content.replaceChildren(...parts.filter(Boolean), ...(lane ? [lane.node] : []), ...(answer.refused ? [] : [this.#list(answer, narrowed)]));
  }

  #list({ matches, alike }, narrowed) {
    if (!matches.length) return state(t("answer.nothing"), el("p", {}, t(narrowed ? "answer.none.filtered" : "answer.none")));
    const rows = matches.map((match, index) => {
      const { on } = this;
      return new MatchRow(match, this.page, {
        compare: () => on.compare(index),
        choose: (role) => on.choose(match, role),
        ask: () => on.ask({ study_instance_uid: match.study_instance_uid }),
        pair: () => on.pair(match),
        sends: Boolean(on.send),
        send: () => on.send([match.study_instance_uid]),
      });
    });
    this.rows.push(...rows);
    const nodes = rows.map((row) => row.node);
    const line = el("h2.divider", { id: "hardly-alike" }, t("answer.hardly.from"));
    const below = el("ol.matches.hardly", { "aria-labelledby": line.id }, ...nodes.splice(alike));
    return el("div", {}, nodes.length ? el("ol.matches", {}, ...nodes) : null, below.children.length ? [line, below] : null);
  }

  #legends(matches) {
    return el(
      "div.legends",
      {},
      matches.some(exampleFrame) ? this.page.maps.legend() : null,
      matches.some((match) => match.place) ? el("p.legend", {}, t("legend.region")) : null,
    );
  }

  #chips() {
    return this.page.chosen.chips() ?? "";
  }

  #head(title, facts = null, matches = []) {
    return el(
      "div.content-head",
      {},
      el("div", {}, el("h1", { id: "title" }, title), facts),
      el(
        "div.head-actions",
        {},
        matches.some(exampleFrame) ? this.page.maps.button() : null,
        matches.length ? el("button", { type: "button", "data-send": true, hidden: !this.on.send, onclick: () => this.on.send(null) }, sign("send"), t("answer.send")) : null,
        el("button.quiet", { type: "button", onclick: () => this.on.home() }, t("answer.home")),
      ),
    );
  }
}

function titleOf({ matches, alike, isRefined }) {
  const title = alike ? t(isRefined ? "answer.best" : "answer.title", { n: alike }) : t("answer.none.title");
  return alike < matches.length ? `${title}, ${t("answer.hardly", { n: matches.length - alike })}` : title;
}
