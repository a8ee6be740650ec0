// Small pieces that every part of the page is made of.

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

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const COUNT = new Intl.NumberFormat();

export const day = (iso) => (iso ? DAY.format(new Date(`${iso}T00:00:00Z`)) : "no date");
export const count = (number) => COUNT.format(number);
export const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;
export const series = (number) => plural(number, "series", "series");

/** "MR · BRAIN", leaving out what is not known. */
export const dotted = (...parts) => parts.filter(Boolean).join(" · ");

export function seconds(total) {
  if (total < 90) return `${Math.round(total)} s`;
  if (total < 5400) return `${Math.round(total / 60)} min`;
  return `${Math.round(total / 3600)} h`;
}

let toastTimer = 0;

/** Say something that needs no answer. */
export function toast(text) {
  const node = document.getElementById("toast");
  node.textContent = text;
  node.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (node.hidden = true), 2500);
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
  toast("Copied");
}
