// The matches: prior cases in rank order, each with its references and a way to open it.

import { copy, day, dotted, el, plural } from "./elements.js";
import { picture } from "./pictures.js";
import { problemCard } from "./states.js";

const REFERENCES = [
  ["Study", "study_instance_uid"],
  ["Series", "series_instance_uid"],
  ["Instance", "sop_instance_uid"],
];

/** The answer in `content`. `on` has ask(reference), compare(index), pair(match) and home(). */
export class Answer {
  constructor(content, on) {
    this.content = content;
    this.on = on;
  }

  /** The question is on its way. */
  asking() {
    this.content.setAttribute("aria-busy", "true");
    const tiles = Array.from({ length: 8 }, () => el("li.tile.match.skeleton", { "aria-hidden": "true" }));
    this.content.replaceChildren(this.#head("Looking for similar cases …"), el("ul.grid.matches", {}, ...tiles));
  }

  /** The question was refused. */
  refused(problem, again) {
    this.content.setAttribute("aria-busy", "false");
    this.content.replaceChildren(this.#head("No answer"), problemCard(problem, again));
  }

  /** Draw the matches. */
  show(answer, narrowed) {
    this.content.setAttribute("aria-busy", "false");
    const { matches } = answer;
    const took = answer.took_ms < 1000 ? `${Math.round(answer.took_ms)} ms` : `${(answer.took_ms / 1000).toFixed(1)} s`;
    const facts = el("p.muted", {}, dotted(`found in ${took}`, `encoder ${answer.encoder.name}`));
    const title = matches.length ? plural(matches.length, "similar case", "similar cases") : "No similar case";
    this.content.replaceChildren(
      this.#head(title, facts),
      matches.length ? el("ol.grid.matches", {}, ...matches.map((match, index) => this.#tile(match, index))) : this.#none(narrowed),
    );
  }

  #head(title, facts = null) {
    return el(
      "div.content-head",
      {},
      el("div", {}, el("h1", { id: "title" }, title), facts),
      el("button.quiet", { type: "button", onclick: () => this.on.home() }, "← All studies"),
    );
  }

  #none(narrowed) {
    const advice = narrowed
      ? "No other study passes the filters. Take one away, or reset them."
      : "No other study is indexed that you may see. The example's own study never counts, nor does the same patient unless you say so.";
    return el("div.state", {}, el("span.state-sign", { "aria-hidden": "true" }), el("h2", {}, "Nothing to show"), el("p", {}, advice));
  }

  #tile(match, index) {
    const what = dotted(match.modality, match.body_part_examined) || "Study";
    const pair = () => this.on.pair(match);
    return el(
      "li.tile.match",
      { "data-study": match.study_instance_uid, onmouseenter: pair, onfocusin: pair },
      el(
        "button.tile-picture",
        { type: "button", "aria-label": `Compare case ${match.rank}: ${what}`, onclick: () => this.on.compare(index) },
        picture(match, 320, `Case ${match.rank}: ${what}`),
        el("span.rank", { "aria-hidden": "true" }, String(match.rank)),
        el("span.hover-hint", { "aria-hidden": "true" }, "Compare"),
      ),
      el(
        "div.tile-text",
        {},
        score(match.score),
        el("span.tile-title", {}, what),
        el("span.muted", {}, day(match.study_date)),
        el(
          "div.actions",
          {},
          Object.values(match.links)[0] ? el("a.button.small", { href: Object.values(match.links)[0], target: "_blank", rel: "noopener noreferrer" }, "Open") : null,
          el("button.small", { type: "button", onclick: () => this.on.ask({ study_instance_uid: match.study_instance_uid }) }, "Ask with this"),
        ),
        references(match),
      ),
    );
  }
}

/** A score in [-1, 1] as a number and a bar; the bar shows [0, 1], below nothing is alike. */
export function score(value) {
  const bar = el("span.bar-fill");
  bar.style.width = `${Math.max(0, Math.min(1, value)) * 100}%`;
  return el("div.score", { title: "Likeness in [-1, 1]; larger is nearer" }, el("span.bar", { "aria-hidden": "true" }, bar), el("b", {}, value.toFixed(3)));
}

/** The DICOM references of a match, each to be copied. */
export function references(match) {
  const rows = REFERENCES.map(([label, keyword]) => reference(label, match[keyword]));
  if (match.retrieve_url) rows.push(reference("WADO-RS", match.retrieve_url));
  if (match.retrieve_ae_title) rows.push(reference("AE title", match.retrieve_ae_title));
  const frame = el("div.reference", {}, el("dt", {}, "Frame"), el("dd", {}, String(match.frame_number)));
  return el("details.references", {}, el("summary", {}, "References"), el("dl", {}, ...rows, frame));
}

function reference(label, value) {
  return el(
    "div.reference",
    {},
    el("dt", {}, label),
    el("dd", {}, el("code", { title: value }, el("bdi", { dir: "ltr" }, value)), el("button.copy", { type: "button", "aria-label": `Copy ${label}`, onclick: () => copy(value) }, "Copy")),
  );
}
