// Errors, refusals and empty places as a person needs them: what happened, and what to do.

import { el } from "./elements.js";
import { current, known, t } from "./language.js";

// Asking the same again cannot help.
const FINAL = new Set([403, 404, 413, 422]);

// Reasons of refusals that come to the same for a person.
const KINDS = {
  truncated_pixel_data: "damaged",
  undecodable_pixel_data: "damaged",
  transfer_syntax_mismatch: "damaged",
  invalid_header: "damaged",
  invalid_palette: "damaged",
  decoder_crashed: "damaged",
  decode_timeout: "damaged",
  unsupported_transfer_syntax: "compressed",
  missing_decoder: "compressed",
};

/** A calm place in the middle: a title and sentences. */
export const state = (title, ...sentences) =>
  el("div.state", {}, el("span.state-sign", { "aria-hidden": "true" }), el("h2", {}, title), ...sentences);

/** What only the administrator needs, closed until it is wanted; null where there is nothing. */
export function forSupport(...facts) {
  const told = facts.filter(Boolean);
  return told.length ? el("details.for-support", {}, el("summary", {}, t("problem.details")), ...told.map((fact) => el("p.uid", {}, fact))) : null;
}

/** A sentence of the server, which speaks English. */
const said = (text) => el("p", current() === "en" ? {} : { lang: "en" }, text);

/** A card about a problem, with a button to try again where that can help. */
export function problemCard(problem, again) {
  const advice = `${keyOf(problem)}.advice`;
  const own = !problem.own && problem.status && known(advice);
  const facts = [own && problem.message, problem.state && t("problem.state", { state: problem.state }), problem.reason && t("problem.reason", { reason: problem.reason })];
  const card = state(
    titleOf(problem),
    own ? el("p", {}, t(advice)) : problem.own ? el("p", {}, problem.message) : said(problem.message),
    own || problem.status === 409 ? forSupport(...facts) : null,
    again && !FINAL.has(problem.status) ? el("button", { type: "button", onclick: again }, t("problem.again")) : null,
  );
  card.classList.add("error");
  card.setAttribute("role", "alert");
  return card;
}

function keyOf(problem) {
  if (problem.reason === "not_configured") return "problem.409.configured";
  if (problem.status === 409 && ["failed", "skipped"].includes(problem.state)) return "problem.409.never";
  return `problem.${problem.status}`;
}

function titleOf(problem) {
  const key = keyOf(problem);
  return known(key) ? t(key) : (problem.title ?? t("problem.other"));
}

/** Why no case is shown: nothing went wrong, so nothing alarms. */
export function refusalCard(refused) {
  const key = `refused.${KINDS[refused.reason] ?? refused.reason}`;
  const card = state(
    t("refused.title"),
    known(key) ? el("p", {}, t(key)) : said(refused.message),
    el("p.muted.small", {}, t("refused.why")),
    forSupport(t("problem.reason", { reason: refused.reason })),
  );
  card.classList.add("refused");
  card.setAttribute("role", "status");
  return card;
}
