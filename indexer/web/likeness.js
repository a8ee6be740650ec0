// How alike, in the words of a physician: a word, a sentence with a percentage, a bar; as indexer/answers/words.py has it.

import { el } from "./elements.js";
import { known, locale, t } from "./language.js";

const MOST = 99.9;
// Modalities that are one to a radiologist.
const PROJECTIONS = new Set(["CR", "DX", "RG"]);

/** The likeness of a match: {score, percent, percent_of, likeness}. Without a percentage nothing that looks like one; of pairs of all kinds neither word nor bar. */
export function likeness({ score, percent, percent_of: pairs, likeness: word, isOtherKind: isOther }) {
  const key = `likeness.${isOther ? "other_kind" : word}`;
  const named = known(key) ? el("b", {}, t(key)) : null;
  if (!isMeasured(percent)) return el("div.likeness.uncalibrated", {}, named, el("span.raw", { title: t("match.raw") }, t("likeness.uncalibrated", { score: score.toFixed(2) })));
  const fill = el("span.bar-fill");
  fill.style.width = `${shareOfBar(percent) * 100}%`;
  const said = { percent: percentage(percent) };
  return el(
    "div.likeness",
    { title: t(`likeness.why.${pairs}`, said) },
    named,
    known(`likeness.${word}`) ? el("span.bar", { "aria-hidden": "true" }, fill) : null,
    el("span.percent", {}, t(`likeness.of.${pairs}`, said)),
    el("span.raw", { title: t("match.raw") }, score.toFixed(3)),
  );
}

/** Whether a match is hardly alike, or another kind of image altogether. */
export const isHardlyAlike = (match) => match.isOtherKind || match.likeness === "hardly_alike";

/** Whether a match is of another modality than the one of these series that it answers. */
export function isOtherKind(match, series) {
  const own = series.find((one) => one.series_instance_uid === match.answers_series_instance_uid)?.modality;
  return Boolean(own && match.modality) && kindOf(own) !== kindOf(match.modality);
}

/** Without a claim that its sample cannot carry: 87, 99.4, at most 99.9; rounded down, so that it fits its word. */
export function percentage(percent) {
  const digits = percent >= 99 ? 1 : 0;
  const down = Math.floor(Math.min(percent, MOST) * 10 ** digits + 1e-6) / 10 ** digits;
  return new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(down);
}

/** How much of the bar a percentage fills, in [0, 1]: 90, 99 and 99.9 fill one, two and three thirds. */
export const shareOfBar = (percent) => Math.min(1, -Math.log10(Math.max(1 - percent / 100, 1e-6)) / 3);

const isMeasured = (percent) => percent !== null && percent !== undefined;
const kindOf = (modality) => (PROJECTIONS.has(modality) ? "projection" : modality);
