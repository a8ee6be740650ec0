// The example and one match side by side, large; the arrow keys go through the matches.

import { day, dotted, el } from "./elements.js";
import { references, score } from "./answer.js";
import { picture } from "./pictures.js";

const SIZE = 1024;

export class Compare {
  constructor(dialog, moved) {
    this.dialog = dialog;
    this.moved = moved;
    dialog.addEventListener("keydown", (event) => this.#key(event));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  open(answer, index) {
    this.answer = answer;
    this.dialog.showModal();
    this.#show(index);
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.#show(this.index + step);
  }

  #show(index) {
    const { matches, query } = this.answer;
    if (index < 0 || index >= matches.length) return;
    this.index = index;
    const match = matches[index];
    this.moved(match);
    const own = query.picture ?? { sop_instance_uid: match.example_sop_instance_uid, frame_number: match.example_frame_number };
    const what = dotted(match.modality, match.body_part_examined, day(match.study_date));
    this.dialog.replaceChildren(
      el(
        "header.compare-head",
        {},
        el("h2", {}, `Case ${match.rank} of ${matches.length}`),
        score(match.score),
        el("span.muted", {}, what),
        el("span.spring"),
        this.#step(-1, "Previous", index > 0),
        this.#step(1, "Next", index < matches.length - 1),
        el("button", { type: "button", onclick: () => this.dialog.close(), autofocus: true }, "Close"),
      ),
      el(
        "div.panes",
        {},
        el("figure", {}, picture(own, SIZE, "The example"), el("figcaption", {}, query.picture ? "Your example" : "Your frame nearest to this case")),
        el("figure", {}, picture(match, SIZE, `Case ${match.rank}`), el("figcaption", {}, "Prior case")),
      ),
      el("footer.compare-foot", {}, references(match), el("strong.notice", {}, "Not for diagnosis")),
    );
  }

  #step(step, text, possible) {
    return el("button", { type: "button", disabled: !possible, onclick: () => this.#show(this.index + step) }, text);
  }
}
