// How alike, in the words of a physician: a word, a sentence with a percentage, a bar, and the raw score small.

import { el } from "./elements.js";
import { known, locale, t } from "./language.js";

/** The likeness of a match: {score, percent, percent_of, likeness}. */
export function likeness({ score, percent, percent_of: pairs, likeness: word }) {
  const measured = percent !== null && percent !== undefined;
  const fill = el("span.bar-fill");
  fill.style.width = `${measured ? percent : Math.max(0, score) * 100}%`;
  const bar = el("span.bar", { "aria-hidden": "true" }, fill);
  const raw = el("span.raw", { title: t("match.raw") }, score.toFixed(3));
  if (!measured) return el("div.likeness.unmeasured", {}, el("span.muted", {}, t("likeness.score")), bar, raw);
  const said = { percent: percentage(percent) };
  return el(
    "div.likeness",
    { title: t(`likeness.why.${pairs}`, said) },
    el("b", {}, known(`likeness.${word}`) ? t(`likeness.${word}`) : ""),
    bar,
    el("span.percent", {}, t(`likeness.of.${pairs}`, said)),
    raw,
  );
}

/** Without a claim that its sample cannot carry: 87, 99.4, more than 99.9. */
function percentage(percent) {
  if (percent > 99.9) return t("likeness.most");
  const digits = percent >= 99 ? 1 : 0;
  return new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(percent);
}
