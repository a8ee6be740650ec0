// Several codes of one kind: those seen in the archive as switches, any other by typing.

import { el } from "./elements.js";
import { t } from "./language.js";

export class Codes {
  /** `field` names the codes by data-codes, and their words by data-key. */
  constructor(field, changed) {
    const { codes, key } = field.dataset;
    this.key = key;
    this.known = new Set();
    this.chosen = new Set();
    this.changed = changed;
    this.switches = el("div.switches", { role: "group" });
    this.input = el("input", {
      id: `codes-${codes}`,
      autocomplete: "off",
      spellcheck: "false",
      maxlength: 64,
      onkeydown: (event) => event.key === "Enter" && (event.preventDefault(), this.#add()),
      onchange: () => this.#add(),
    });
    this.label = el("label", { for: this.input.id });
    field.append(this.label, this.switches, this.input);
    this.translate();
  }

  /** Put the words of the page's language. */
  translate() {
    this.label.textContent = t(this.key);
    this.switches.setAttribute("aria-label", t(this.key));
    this.input.placeholder = t(`${this.key}.hint`);
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
        el("button.switch", { type: "button", "data-code": code, "aria-pressed": String(this.chosen.has(code)), onclick: () => this.#toggle(code) }, code),
      ),
    );
    if (focused) this.switches.querySelector(`[data-code="${CSS.escape(focused)}"]`)?.focus();
  }
}
