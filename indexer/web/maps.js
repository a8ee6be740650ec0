// Where each of two frames looks like the other: asked for once a pair, drawn where the switch is on.

import { el, sign, toast } from "./elements.js";
import { t } from "./language.js";
import { json } from "./requests.js";

const KEPT = 200;
const kept = new Map();

/** The switch, one for the whole page. */
export class MapSwitch {
  #listeners = new Set();

  constructor() {
    this.on = false;
    this.archived = true;
  }

  /** {example, match} of a pair of frames; null where an upload's answer has brought none. Throws Problem. */
  async of(match, example, frame) {
    if (match.maps) return match.maps;
    return this.archived ? mapsOf(example, frame) : null;
  }

  follow(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(on) {
    this.on = on;
    for (const button of document.querySelectorAll("[data-map-switch]")) button.setAttribute("aria-pressed", String(on));
    for (const legend of document.querySelectorAll(".legend-map")) legend.hidden = !on;
    for (const listener of [...this.#listeners]) listener();
  }

  /** A map could not be made: say it once, and draw none. */
  fail(problem) {
    if (!this.on) return;
    this.set(false);
    toast(t("answer.map.none", { why: problem.message }));
  }

  /** What the drawing means, shown while there is one. */
  legend() {
    const legend = el("p.legend.legend-map", {}, t("legend.map"));
    legend.hidden = !this.on;
    return legend;
  }

  button() {
    return el(
      "button",
      { type: "button", "data-map-switch": true, "aria-pressed": String(this.on), title: t("answer.map.why"), onclick: () => this.set(!this.on) },
      sign("map"),
      t("answer.map"),
    );
  }
}

function mapsOf(example, frame) {
  const query = new URLSearchParams({
    example_sop_instance_uid: example.sop_instance_uid,
    example_frame_number: example.frame_number,
    sop_instance_uid: frame.sop_instance_uid,
    frame_number: frame.frame_number,
  }).toString();
  if (!kept.has(query)) {
    const asked = json(`api/maps?${query}`);
    asked.catch(() => kept.delete(query));
    kept.set(query, asked);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  }
  return kept.get(query);
}

/** The frame of the example that a match was found by; null where only words were asked with. */
export const exampleFrame = (match) =>
  match.example_sop_instance_uid ? { sop_instance_uid: match.example_sop_instance_uid, frame_number: match.example_frame_number } : null;

export const sameFrame = (one, other) =>
  Boolean(one && other) && one.sop_instance_uid === other.sop_instance_uid && one.frame_number === other.frame_number;
