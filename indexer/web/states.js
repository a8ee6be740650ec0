// Errors as a person needs them: what happened, and what to do.

import { el } from "./elements.js";

const TITLES = {
  0: "The server does not answer",
  403: "Not allowed",
  404: "Not found",
  409: "Not indexed yet",
  413: "Too large",
  422: "This cannot be asked with",
  429: "Busy",
  500: "A fault of the server",
  503: "A part of the system does not answer",
};
// Asking the same again cannot help.
const FINAL = new Set([403, 404, 413, 422]);

/** A card about a problem, with a button to try again where that can help. */
export function problemCard(problem, again) {
  const never = problem.status === 409 && ["failed", "skipped"].includes(problem.state);
  const title = never ? "Not indexed" : (TITLES[problem.status] ?? problem.title ?? "This did not work");
  const facts = [problem.state && `state: ${problem.state}`, problem.reason && `reason: ${problem.reason}`];
  return el(
    "div.state.error",
    { role: "alert" },
    el("span.state-sign", { "aria-hidden": "true" }),
    el("h2", {}, title),
    el("p", {}, problem.message),
    problem.status === 409 ? el("p.muted", {}, facts.filter(Boolean).join(", ")) : null,
    again && !FINAL.has(problem.status) ? el("button", { type: "button", onclick: again }, "Try again") : null,
  );
}
