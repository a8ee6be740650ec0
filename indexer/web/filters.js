// What studies and matches must be, and how many: one form for the list and for the answers.

import { Codes } from "./codes.js";

/** How much variety weighs where it is wanted (maximal marginal relevance). */
const DIVERSITY = 0.4;

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

  translate() {
    for (const codes of Object.values(this.codes)) codes.translate();
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

  /** What else of the form belongs to a question. */
  get wishes() {
    const { limit, same_patient: patient, diverse } = this.form.elements;
    return { limit: Number(limit.value), same_patient: patient.checked, diversity: diverse.checked ? DIVERSITY : 0 };
  }

  /** Whether anything narrows the list. */
  get any() {
    return Object.values(this.filters).some((value) => value.length > 0);
  }

  /** The filters as a query string, with more parameters. */
  query(more = {}) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries({ ...more, ...this.filters })) {
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
