// The example: where DICOM is dropped, and what was asked with.

import { day, dotted, el, plural } from "./elements.js";
import { picture, show } from "./pictures.js";
import { json } from "./requests.js";

/** The panel at the side. `on` has ask(reference), files(list), again() and home(). */
export class Example {
  constructor(node, on) {
    this.node = node;
    this.on = on;
    this.shown = 0;
  }

  /** Nothing is asked: offer a place to drop. */
  empty() {
    this.shown += 1;
    const input = el("input.offscreen", { type: "file", multiple: true, id: "files", onchange: () => this.#chosen(input) });
    const folder = el("input.offscreen", { type: "file", webkitdirectory: true, id: "folder", onchange: () => this.#chosen(folder) });
    this.node.replaceChildren(
      el("h2", { id: "example-title" }, "Ask with an example"),
      el(
        "div.dropzone",
        {},
        el("span.dropzone-sign", { "aria-hidden": "true" }),
        el("p", {}, "Drop DICOM files, a folder or a zip here"),
        el("div.row", {}, input, el("label.button.primary", { for: "files" }, "Choose files"), folder, el("label.button", { for: "folder" }, "Folder")),
        el("p.muted.small", {}, "Compared, not kept."),
      ),
    );
  }

  /** The question is on its way. */
  asking(what) {
    this.shown += 1;
    this.bar = el("progress", { max: 1, "aria-label": "Upload" });
    this.bar.hidden = true;
    this.line = el("p.muted", { role: "status" }, what);
    this.tile = el("span.picture.loading", { role: "img", "aria-label": "Example" });
    this.node.replaceChildren(this.#head(), this.tile, this.line, this.bar);
  }

  /** How much of the upload is sent, in [0, 1]. */
  sent(share) {
    this.bar.hidden = share >= 1;
    this.bar.value = share;
    this.line.textContent = share < 1 ? `Sending, ${Math.round(share * 100)} %` : "Comparing …";
  }

  /** The question was refused. */
  refused(what) {
    this.shown += 1;
    this.node.replaceChildren(this.#head(), el("p.uid", {}, what));
  }

  /** Show what was compared. */
  answered(answer) {
    this.shown += 1;
    const { query } = answer;
    this.answer = answer;
    const best = answer.matches[0];
    this.tile = picture(query.picture ?? this.#frame(best), 512, "The example's frame");
    this.caption = el("p.caption.muted", {}, "");
    const modalities = [...new Set(query.series.map((one) => one.modality))].join(", ");
    const parts = [...new Set(query.series.map((one) => one.body_part_examined))].filter(Boolean).join(", ");
    const frames = query.series.reduce((sum, one) => sum + one.frames, 0);
    this.heading = el("p.example-what", {}, dotted(modalities, parts) || "Example");
    this.facts = el("p.muted", {}, dotted(plural(query.series.length, "series", "series"), plural(frames, "frame", "frames")));
    this.strips = el("div.strips");
    this.node.replaceChildren(this.#head(), this.tile, this.caption, this.heading, this.facts, this.strips);
    this.pair(best);
    if (query.example) this.#offerParts(query, this.shown);
    else this.#uploadFacts(query);
  }

  /** Show the frame of the example that a match is nearest to. */
  pair(match) {
    if (!this.answer || !match || this.answer.query.picture) return;
    const frame = this.#frame(match);
    const key = `${frame.sop_instance_uid}/${frame.frame_number}`;
    if (key !== this.pairedWith) show(this.tile, frame, 512);
    this.pairedWith = key;
    this.caption.textContent = `Your frame nearest to case ${match.rank}`;
    for (const thumb of this.strips.querySelectorAll("[data-frame]")) {
      thumb.classList.toggle("nearest", thumb.dataset.frame === key);
    }
  }

  #frame(match) {
    this.pairedWith = null;
    if (match) return { sop_instance_uid: match.example_sop_instance_uid, frame_number: match.example_frame_number };
    return this.answer.query.series[0].key_frame;
  }

  #head() {
    return el(
      "div.card-head",
      {},
      el("h2", { id: "example-title" }, "Your example"),
      el("button.quiet", { type: "button", onclick: () => this.on.home() }, "Another one"),
    );
  }

  #chosen(input) {
    if (input.files.length) this.on.files([...input.files]);
  }

  #uploadFacts(query) {
    const ignored = query.ignored ? `${query.ignored} ignored, no DICOM` : "";
    this.strips.replaceChildren(
      el("p.muted", {}, dotted(plural(query.uploaded, "file sent", "files sent"), ignored)),
      el("button.wide", { type: "button", onclick: () => this.on.again() }, "Ask again with these filters"),
    );
    this.caption.textContent = "Your frame nearest to the best case";
  }

  /** Whole study, one series or one frame: each is a question of its own. */
  async #offerParts(query, shown) {
    let study;
    try {
      study = await json(`api/studies/${query.study_instance_uid}`);
    } catch {
      return;
    }
    if (shown !== this.shown) return;
    this.facts.prepend(`${day(study.study_date)} · `);
    const asked = query.example;
    const whole = this.#part("Whole study", { study_instance_uid: study.study_instance_uid }, Boolean(asked.study_instance_uid));
    const rows = study.series.filter((one) => one.frames.length).map((one, index) => this.#strip(one, index, asked));
    this.strips.replaceChildren(el("h3", {}, "Ask with"), whole, ...rows);
    if (this.answer.matches[0]) this.pair(this.answer.matches[0]);
  }

  #part(text, reference, pressed) {
    return el("button.part", { type: "button", "aria-pressed": String(pressed), onclick: () => this.on.ask(reference) }, text);
  }

  #strip(series, index, asked) {
    const name = dotted(`Series ${index + 1}`, series.modality, plural(series.frames.length, "frame", "frames"));
    const reference = { series_instance_uid: series.series_instance_uid };
    return el(
      "div.strip",
      {},
      this.#part(name, reference, asked.series_instance_uid === series.series_instance_uid),
      el("div.frames", {}, ...series.frames.map((frame, number) => this.#thumb(frame, number, asked))),
    );
  }

  #thumb(frame, number, asked) {
    const pressed = asked.sop_instance_uid === frame.sop_instance_uid && (asked.frame_number ?? frame.frame_number) === frame.frame_number;
    return el(
      "button.thumb",
      {
        type: "button",
        "data-frame": `${frame.sop_instance_uid}/${frame.frame_number}`,
        "aria-pressed": String(pressed),
        "aria-label": `Ask with frame ${number + 1} alone`,
        onclick: () => this.on.ask(frame),
      },
      picture(frame, 96, `Frame ${number + 1}`),
    );
  }
}
