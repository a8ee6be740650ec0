// The example: where DICOM is dropped, and what was asked with.

import { el } from "./elements.js";
import { t } from "./language.js";
import { exampleFrame } from "./maps.js";
import { json } from "./requests.js";
import { ExampleViewer } from "./example_viewer.js";
import { forSupport } from "./states.js";
import { day, dotted, what } from "./wording.js";

/** The panel at the side. `on` has ask(reference, region), files(list), again(), cancel() and home(). */
export class Example {
  constructor(node, windowing, on) {
    this.node = node;
    this.windowing = windowing;
    this.on = on;
    this.shown = 0;
    this.viewer = null;
    this.study = null;
  }

  /** Nothing is asked: offer a place to drop. */
  empty() {
    this.#leave();
    this.study = null;
    const input = el("input.offscreen", { type: "file", multiple: true, id: "files", onchange: () => this.#chosen(input) });
    const folder = el("input.offscreen", { type: "file", webkitdirectory: true, id: "folder", onchange: () => this.#chosen(folder) });
    this.node.replaceChildren(
      el("h2", { id: "example-title" }, t("drop.title")),
      el(
        "div.dropzone",
        {},
        el("span.dropzone-sign", { "aria-hidden": "true" }),
        el("p", {}, t("drop.here")),
        el("div.row", {}, input, el("label.button.primary", { for: "files" }, t("drop.files")), folder, el("label.button", { for: "folder" }, t("drop.folder"))),
        el("p.muted.small", {}, t("drop.kept")),
      ),
    );
  }

  /** The question is on its way; what is on the screen of the same study stays there. */
  asking(text, upload) {
    if (this.viewer && !upload) return this.node.classList.add("waiting");
    this.#leave();
    this.bar = el("progress", { max: 1, "aria-label": t("asking.progress") });
    this.bar.hidden = !upload;
    this.bar.value = 0;
    this.line = el("p.muted", { role: "status" }, text);
    const cancel = el("button", { type: "button", onclick: () => this.on.cancel() }, t("asking.cancel"));
    this.node.replaceChildren(this.#head(), el("div.stage.picture.loading", { "aria-hidden": "true" }), this.line, this.bar, el("div.row", {}, cancel));
    return undefined;
  }

  /** How far an upload is: a share in [0, 1] of everything, null where that is not known, and in words. */
  progress(share, text) {
    if (!this.bar?.isConnected) return;
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
    this.line.textContent = text;
  }

  /** The question was refused before anything of it could be shown; `upload` has the files that were sent. */
  refused(named, upload) {
    this.node.classList.remove("waiting");
    if (this.viewer) return;
    this.#leave();
    this.node.replaceChildren(this.#head(), upload ? el("p.muted.small", {}, this.#files(upload.files, upload.ignored)) : (forSupport(named) ?? ""));
  }

  /** Only words were asked with. */
  words(text) {
    this.#leave();
    this.node.replaceChildren(this.#head(), el("blockquote.asked-words", {}, text));
  }

  /** Show what was compared. */
  async answered(answer, reference, region) {
    const { query } = answer;
    this.shown += 1;
    const turn = this.shown;
    if (!query.example) return this.#uploaded(answer);
    const uid = query.study_instance_uid ?? reference.study_instance_uid;
    const study = this.study?.study_instance_uid === uid ? this.study : await this.#read(uid);
    if (turn !== this.shown) return undefined;
    this.node.classList.remove("waiting");
    if (!study) return this.node.replaceChildren(this.#head(), forSupport(Object.values(reference)[0]));
    const same = study === this.study && this.viewer;
    this.study = study;
    if (!study.series.some((one) => one.frames.length)) return this.#nothingToSee(study);
    if (!same) {
      this.#begin();
      this.viewer.study(study, this.#first(answer, study, reference));
      this.node.replaceChildren(this.#head(), this.viewer.node);
    }
    this.viewer.asked(reference, region);
    this.pair(answer.matches[0]);
    return undefined;
  }

  /** Draw anew from the next answer on: the language has changed. */
  forget() {
    this.viewer?.end();
    this.viewer = null;
  }

  /** Show the frame of the example that a match is nearest to, unless another one was chosen by hand. */
  pair(match) {
    const frame = match && exampleFrame(match);
    if (this.viewer && frame) this.viewer.pair(frame, match.rank);
  }

  /** Nothing of the study is indexed: say what there is, and what became of it. */
  #nothingToSee(study) {
    this.#leave();
    const rows = study.series.map((one) => el("li", {}, el("b", {}, what(one)), " ", el("span.muted.small", {}, t(`state.${one.state}`))));
    const reasons = study.series.map((one) => dotted(what(one), one.state, one.reason));
    this.node.replaceChildren(this.#head(), el("ul", {}, ...rows), forSupport(study.study_instance_uid, ...reasons));
  }

  #uploaded({ query, matches }) {
    this.#begin();
    this.study = null;
    this.node.classList.remove("waiting");
    const series = query.series[0];
    const frame = (matches[0] && exampleFrame(matches[0])) ?? series?.key_frame ?? null;
    const kinds = [...new Set(query.series.map(what))].slice(0, 3);
    const facts = this.#files(query.uploaded, query.ignored, query);
    this.viewer.upload(query.picture, frame, series?.modality ?? "", query.region, matches.length > 0);
    this.node.replaceChildren(
      this.#head(),
      this.viewer.node,
      el("div", {}, ...kinds.map((kind) => el("p.example-what", {}, kind)), el("p.muted.small", {}, facts)),
      el("button.wide", { type: "button", onclick: () => this.on.again() }, t("example.again")),
    );
  }

  #files(sent, ignored, { reports, unused_reports: unused } = {}) {
    const read = reports ? t(unused ? "count.unused" : "count.reports", { n: reports }) : "";
    return dotted(t("count.files", { n: sent }), ignored ? t("count.ignored", { n: ignored }) : "", read);
  }

  /** Where the viewer begins: what was asked with, or what is nearest to the best match. */
  #first(answer, study, reference) {
    if (reference.frame_number) return { sop_instance_uid: reference.sop_instance_uid, frame_number: reference.frame_number };
    const best = answer.matches[0] && exampleFrame(answer.matches[0]);
    const named = study.series.find((one) => one.series_instance_uid === reference.series_instance_uid && one.frames.length);
    const first = named ?? study.series.find((one) => one.frames.length);
    return best ?? answer.query.series[0]?.key_frame ?? first?.frames[Math.floor(first.frames.length / 2)] ?? null;
  }

  async #read(uid) {
    try {
      return await json(`api/studies/${uid}`);
    } catch {
      return null;
    }
  }

  #begin() {
    this.viewer?.end();
    this.viewer = new ExampleViewer(this.windowing, this.on);
  }

  #leave() {
    this.shown += 1;
    this.node.classList.remove("waiting");
    this.viewer?.end();
    this.viewer = null;
  }

  #head() {
    const when = this.viewer && this.study ? el("span.muted.small", {}, day(this.study.study_date)) : null;
    return el("div.card-head", {}, el("h2", { id: "example-title" }, t("example.title")), when, el("button.quiet", { type: "button", onclick: () => this.on.home() }, t("example.another")));
  }

  #chosen(input) {
    if (input.files.length) this.on.files([...input.files]);
  }
}
