// What studies and matches must be: one form for the list and for the answers.

import { el } from "./elements.js";

/** The form; `changed` is called with every change. */
export class Filters {
  constructor(form, changed) {
    this.form = form;
    this.codes = {};
    for (const field of form.querySelectorAll("[data-codes]")) {
      this.codes[field.dataset.codes] = new Codes(field, () => this.#changed());
    }
    this.changed = changed;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => event.target.name && this.#changed());
    form.addEventListener("reset", () => setTimeout(() => this.#clear()));
  }

  /** As POST /api/search wants them. */
  get filters() {
    const { study_date_from: from, study_date_to: to } = this.form.elements;
    return {
      modality: this.codes.modality.values,
      body_part_examined: this.codes.body_part_examined.values,
      ...(from.value ? { study_date_from: from.value } : {}),
      ...(to.value ? { study_date_to: to.value } : {}),
    };
  }

  get limit() {
    return Number(this.form.elements.limit.value);
  }

  get excludeSamePatient() {
    return !this.form.elements.include_same_patient.checked;
  }

  /** Whether anything narrows the list. */
  get any() {
    return Object.values(this.filters).some((value) => value.length > 0);
  }

  /** The filters as a query string, with more parameters. */
  query(more = {}) {
    const query = new URLSearchParams(more);
    for (const [name, value] of Object.entries(this.filters)) {
      for (const one of [value].flat()) query.append(name, one);
    }
    return query;
  }

  /** Offer what studies in the list are made of. */
  learn(studies) {
    this.codes.modality.offer(studies.flatMap((study) => study.modalities));
    this.codes.body_part_examined.offer(studies.flatMap((study) => study.body_parts));
  }

  #clear() {
    for (const codes of Object.values(this.codes)) codes.clear();
    this.#changed();
  }

  #changed() {
    this.form.querySelector("[type=reset]").hidden = !this.any;
    this.changed();
  }
}

/** Several codes: those seen in the archive as switches, any other by typing. */
class Codes {
  constructor(field, changed) {
    const { codes, label, hint } = field.dataset;
    this.known = new Set();
    this.chosen = new Set();
    this.changed = changed;
    this.switches = el("div.switches", { role: "group", "aria-label": label });
    this.input = el("input", {
      id: `codes-${codes}`,
      placeholder: hint,
      autocomplete: "off",
      spellcheck: "false",
      maxlength: 64,
      onkeydown: (event) => event.key === "Enter" && (event.preventDefault(), this.#add()),
      onchange: () => this.#add(),
    });
    field.append(el("label", { for: this.input.id }, label), this.switches, this.input);
  }

  get values() {
    return [...this.chosen];
  }

  offer(codes) {
    for (const code of codes.filter(Boolean)) this.known.add(code);
    this.#draw();
  }

  clear() {
    this.chosen.clear();
    this.#draw();
  }

  #add() {
    const code = this.input.value.trim().toUpperCase();
    this.input.value = "";
    if (!code || this.chosen.has(code)) return;
    this.chosen.add(code);
    this.#draw();
    this.changed();
  }

  #toggle(code) {
    if (!this.chosen.delete(code)) this.chosen.add(code);
    this.#draw();
    this.changed();
  }

  #draw() {
    const focused = document.activeElement?.dataset?.code;
    const codes = [...new Set([...this.known, ...this.chosen])].sort();
    this.switches.replaceChildren(
      ...codes.map((code) =>
        el(
          "button.switch",
          {
            type: "button",
            "data-code": code,
            "aria-pressed": String(this.chosen.has(code)),
            onclick: () => this.#toggle(code),
          },
          code,
        ),
      ),
    );
    if (focused) this.switches.querySelector(`[data-code="${CSS.escape(focused)}"]`)?.focus();
  }
}
