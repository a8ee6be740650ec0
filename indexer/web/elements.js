// Small pieces that every part of the page is made of.

import { t } from "./language.js";

/** The namespace of SVG, asked of the browser: no file of ours names an address of another server. */
const SVG = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI;

/** An element: el("p.muted", {id: "x"}, "text", child). Attributes that are null are left out. */
export function el(form, attributes = {}, ...children) {
  const [tag, ...classes] = form.split(".");
  const node = document.createElement(tag || "div");
  node.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Show at the ends of a row that it goes on there: the class before, after, or both. */
export function hinting(row) {
  const look = () => {
    row.classList.toggle("before", row.scrollLeft > 2);
    row.classList.toggle("after", row.scrollLeft + row.clientWidth < row.scrollWidth - 2);
  };
  row.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(row);
  new MutationObserver(look).observe(row, { childList: true });
  return row;
}

const SIGNS = {
  compare: "M3 4h7v16H3zM14 4h7v16h-7z",
  more: "M12 5v14M5 12h14",
  less: "M5 12h14",
  open: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  send: "M4 12l16-8-6 16-3-7z",
  ask: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l4 4",
  map: "M12 21c4-5 6-8 6-11a6 6 0 1 0-12 0c0 3 2 6 6 11zM12 8v4",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
};

/** A small drawing before the words of a button. */
export const sign = (name) => svg("svg", { viewBox: "0 0 24 24", class: "sign", "aria-hidden": "true" }, svg("path", { d: SIGNS[name] }));

let toastTimer = 0;

/** Say something that needs no answer. */
export function toast(text) {
  const node = document.getElementById("toast");
  (document.querySelector("dialog[open]") ?? document.body).append(node);
  node.textContent = text;
  node.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (node.hidden = true), 3000);
}

/** Copy a text; on plain HTTP there is no clipboard API, so the selection does it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea.offscreen", { readonly: true });
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(t("reference.copied"));
}
