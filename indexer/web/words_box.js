// Asking in words, where an encoder reads text: typed, or of reports among files; a slider weighs them.

import { el } from "./elements.js";
import { current, t } from "./language.js";

const NAMES = { en: { en: "English", fr: "French" }, fr: { en: "anglais", fr: "français" } };

/** The card in `node`, hidden while no encoder reads text; `ask()` is called when the person has written. */
export class WordsBox {
  constructor(node, ask) {
    this.node = node;
    this.ask = ask;
    this.encoder = null;
    this.example = null;
    this.text = "";
    this.reads = false;
    this.weight = 0.5;
  }

  /** What /api/status says of an encoder of text: {name, languages}, or null, and then no words ask any more. */
  offer(encoder) {
    const same = JSON.stringify(encoder) === JSON.stringify(this.encoder);
    this.encoder = encoder;
    if (!encoder) [this.text, this.reads] = ["", false];
    if (!same) this.draw();
  }

  /** The example beside the words, or null. */
  beside(example) {
    this.example = example;
    const field = this.node.querySelector(".weight");
    if (field) field.hidden = !example;
  }

  draw() {
    this.node.hidden = !this.encoder;
    if (!this.encoder) return;
    this.area = el("textarea", { id: "words-text", rows: 2, maxlength: 2000, placeholder: t("words.hint"), oninput: () => (this.text = this.area.value.trim()), onkeydown: (event) => this.#key(event) });
    this.area.value = this.text;
    const weight = el("input", { type: "range", min: 0, max: 1, step: 0.1, "aria-label": t("words.weight"), onchange: () => (this.text || (this.reads && this.example?.upload)) && this.ask(), oninput: () => (this.weight = Number(weight.value)) });
    weight.value = String(this.weight);
    const scale = el("div.weight", { title: t("words.weight") }, el("span", {}, t("words.weight.image")), weight, el("span", {}, t("words.weight.text")));
    scale.hidden = !this.example;
    const reads = el("input", { type: "checkbox", checked: this.reads, onchange: () => this.#read(reads.checked) });
    const languages = (this.encoder.languages ?? []).map((one) => NAMES[current()][one] ?? one).join(", ");
    this.node.replaceChildren(
      el("h2", { id: "words-title" }, t("words.title")),
      el("label.offscreen", { for: "words-text" }, t("words.label")),
      this.area,
      el("label.check", { title: t("words.reports.why") }, reads, el("span", {}, t("words.reports"))),
      scale,
      el("div.card-foot", {}, el("span.muted.small", {}, languages ? t("words.languages", { languages }) : ""), el("button.primary", { type: "button", onclick: () => this.ask() }, t("words.ask"))),
    );
  }

  #read(reads) {
    this.reads = reads;
    if (this.example?.upload) this.ask();
  }

  #key(event) {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.ask();
  }
}
