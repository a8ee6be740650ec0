// How series, dates and numbers are written on the page.

import { known, locale, t } from "./language.js";

export const count = (number) => new Intl.NumberFormat(locale()).format(number);

export const day = (iso) =>
  iso ? new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeZone: "UTC" }).format(new Date(`${iso}T00:00:00Z`)) : t("date.none");

const SPANS = [
  ["years", 365.25],
  ["months", 30.44],
];

/** "2 years before", "same day": how far a study lies from another; empty where a date is not known. As chronology.py says it. */
export function ago(iso, from) {
  if (!iso || !from) return "";
  const days = Math.round((Date.parse(from) - Date.parse(iso)) / 86_400_000);
  if (days === 0) return t("when.same");
  const far = Math.abs(days);
  const [unit, length] = SPANS.find(([one, long]) => Math.round(far / long) >= 2 || (one === "years" && Math.abs(far - long) < 15.22)) ?? ["days", 1];
  return t(days > 0 ? "when.before" : "when.after", { span: t(`when.${unit}`, { n: Math.round(far / length) }) });
}

/** "MR · BRAIN", leaving out what is not known. */
export const dotted = (...parts) => parts.filter(Boolean).join(" · ");

export const planeWord = (plane) => (plane && known(`plane.${plane}`) ? t(`plane.${plane}`) : (plane ?? ""));

/** "T1", "T2*", "localizer"; several kinds of one acquisition stand side by side. */
export const sequenceWord = (sequence) =>
  (sequence ?? "")
    .split("+")
    .map((one) => (one && known(`sequence.${one}`) ? t(`sequence.${one}`) : one))
    .join(" + ");

/** What a series is: modality, sequence, plane, body part. */
export const what = (series) =>
  dotted(series.modality, sequenceWord(series.sequence), planeWord(series.plane), series.body_part_examined) || t("list.study");

export function seconds(total) {
  if (total < 90) return `${Math.round(total)} s`;
  if (total < 5400) return `${Math.round(total / 60)} min`;
  return `${Math.round(total / 3600)} h`;
}

export const milliseconds = (total) => (total < 1000 ? `${Math.round(total)} ms` : `${count(Math.round(total / 100) / 10)} s`);
