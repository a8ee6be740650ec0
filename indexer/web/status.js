// The line at the top: how much is indexed, what waits, what stopped.

import { el } from "./elements.js";
import { t } from "./language.js";
import { count, seconds } from "./wording.js";

/** Write a status of the server into the line. */
export function statusLine(node, status) {
  const { indexed, waiting, leased, failed, skipped } = status.series;
  const todo = waiting + leased;
  const parts = [el("span", { class: `dot ${todo ? "busy" : "idle"}` })];
  parts.push(el("span", {}, el("b", {}, count(indexed)), ` ${t("status.indexed", { n: indexed })}`));
  if (todo) {
    const behind = status.lag_s >= 1;
    parts.push(el("span", {}, t(behind ? "status.behind" : "status.todo", { n: todo, time: seconds(status.lag_s) })));
  }
  const reasons = Object.entries(status.reasons).map(([reason, number]) => `${reason}: ${number}`);
  if (failed) parts.push(el("span.bad", { title: reasons.join("\n") }, t("status.failed", { n: failed })));
  if (skipped) parts.push(el("span", { title: reasons.join("\n") }, t("status.skipped", { n: skipped })));
  const { name, sha256 } = status.encoder;
  parts.push(el("span.encoder", { title: t("status.encoder", { name, sha256 }) }, `${name}@${sha256.slice(0, 8)}`));
  node.replaceChildren(...parts);
}

/** Say that the server is silent. */
export function statusDown(node, problem) {
  node.replaceChildren(el("span.dot.down"), el("span", { title: problem.message }, t("app.offline")));
}
