// What the page can do, which keys do it, and how far its numbers may be believed.

import { el } from "./elements.js";
import { t } from "./language.js";

/** Show the help; `hasWords` says whether questions in words are offered here. */
export function help(dialog, hasWords) {
  const key = (...names) => names.map((name) => el("kbd", {}, name));
  const keys = [
    [key("←", "→"), t("help.keys.frames")],
    [key("←", "→"), t("help.keys.matches")],
    [key("←", "→", "↑", "↓"), t("help.keys.region")],
    [key("Enter"), t("help.keys.ask")],
    [key(t("help.keys.wheel")), t("help.keys.wheel.text")],
  ];
  dialog.replaceChildren(
    el("h2", { id: "help-title" }, t("help.title")),
    el("h3", {}, t("help.asking")),
    el("p", {}, t("help.asking.text")),
    el("h3", {}, t("help.words")),
    el("p", {}, t(hasWords ? "help.words.have" : "help.words.text")),
    el("h3", {}, t("help.scores")),
    el("p", {}, t("help.scores.text")),
    el("h3", {}, t("help.keys")),
    el("dl.keys", {}, ...keys.map(([names, text]) => el("div", {}, el("dt", {}, ...names), el("dd", {}, text)))),
    el("p.muted", {}, t("help.notice")),
    el("div.row.end", {}, el("button.primary", { type: "button", onclick: () => dialog.close() }, t("help.close"))),
  );
  dialog.showModal();
  dialog.querySelector("button").focus();
}
