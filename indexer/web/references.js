// The DICOM references of a match, each to be copied, and which sequences were compared.

import { copy, el } from "./elements.js";
import { t } from "./language.js";
import { dotted, planeWord, sequenceWord } from "./wording.js";

const REFERENCES = [
  ["reference.study", "study_instance_uid"],
  ["reference.series", "series_instance_uid"],
  ["reference.instance", "sop_instance_uid"],
];

/** What is known of a match besides its likeness, closed until it is wanted. */
export function details(match) {
  const rows = REFERENCES.map(([key, keyword]) => reference(t(key), match[keyword]));
  if (match.retrieve_url) rows.push(reference(t("reference.wado"), match.retrieve_url));
  if (match.retrieve_ae_title) rows.push(reference(t("reference.ae"), match.retrieve_ae_title));
  const frame = el("div.reference", {}, el("dt", {}, t("reference.frame")), el("dd", {}, String(match.frame_number)));
  return el("details.references", {}, el("summary", {}, t("match.references")), el("dl", {}, ...rows, frame), sequences(match));
}

function reference(label, value) {
  return el(
    "div.reference",
    {},
    el("dt", {}, label),
    el(
      "dd",
      {},
      el("code", { title: value }, el("bdi", { dir: "ltr" }, value)),
      el("button.copy", { type: "button", "aria-label": t("reference.copy.label", { what: label }), onclick: () => copy(value) }, t("reference.copy")),
    ),
  );
}

const kind = (sequence, plane) => dotted(sequenceWord(sequence), planeWord(plane)) || "–";

/** Which sequence of the example was answered by which, the one that carried the match first. */
function sequences(match) {
  if (match.sequences.length < 2) return null;
  const rows = match.sequences.map((pair, index) =>
    el(
      "tr",
      {},
      el("td", {}, kind(pair.example_sequence, pair.example_plane)),
      el("td", {}, kind(pair.sequence, pair.plane)),
      el("td.number", {}, pair.score.toFixed(3)),
      el("td.muted", {}, index === 0 ? t("match.sequences.carried") : pair.is_like ? "" : t("match.sequences.unlike")),
    ),
  );
  const heads = [t("compare.example"), t("compare.prior"), t("likeness.score"), ""];
  return el(
    "table.sequences",
    {},
    el("caption", {}, t("match.sequences")),
    el("thead.offscreen", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...rows),
  );
}

/** The sequence that carried the match, where several were compared: "T1 axial ↔ T1 axial". */
export function carrying(match) {
  const [first] = match.sequences;
  if (!first || match.sequences.length < 2) return null;
  const pair = `${kind(first.example_sequence, first.example_plane)} ↔ ${kind(first.sequence, first.plane)}`;
  return pair === "– ↔ –" ? null : el("span.muted", { title: t("match.sequences.carried") }, pair);
}
