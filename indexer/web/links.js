// Where a match is opened: the usual viewer by a click, the others in a menu.

import { el, sign } from "./elements.js";
import { t } from "./language.js";

/** A link and a menu; null where no viewer is known. */
export function openIn(links) {
  const viewers = Object.entries(links);
  if (!viewers.length) return null;
  const [first, ...others] = viewers.map(([name, href]) => ({ name, href }));
  const usual = link(first, t("match.open"), "a.button.small");
  usual.prepend(sign("open"));
  if (!others.length) return usual;
  const menu = el(
    "details.menu",
    { onfocusout: (event) => menu.contains(event.relatedTarget) || (menu.open = false) },
    el("summary.button.small", { "aria-label": t("match.open.more"), title: t("match.open.more") }, sign("down")),
    el("div.menu-items", {}, ...others.map((one) => link(one, one.name, "a.menu-item"))),
  );
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.stopPropagation();
    menu.open = false;
    menu.querySelector("summary").focus();
  });
  return el("span.split", {}, usual, menu);
}

function link({ name, href }, text, form) {
  return el(form, { href, target: "_blank", rel: "noopener noreferrer", title: t("match.open.in", { viewer: name }) }, text);
}
