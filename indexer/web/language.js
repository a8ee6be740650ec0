// English or French: the person's choice, the address's, or the browser's; every text of the page comes from here.

import en from "./words_en.js";
import fr from "./words_fr.js";

const KEY = "cbir-language";
const WORDS = { en, fr };
const listeners = [];
let language = chosen();

function chosen() {
  const named = new URLSearchParams(location.search).get("lang") ?? kept() ?? navigator.language ?? "en";
  return named.toLowerCase().startsWith("fr") ? "fr" : "en";
}

function kept() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

export const current = () => language;
export const other = () => (language === "en" ? "fr" : "en");
/** What numbers and dates are written by: the browser's own region where it speaks this language. */
export const locale = () => navigator.languages.find((one) => one.startsWith(language)) ?? language;

/** Speak another language from now on. */
export function speak(wanted) {
  language = wanted;
  try {
    localStorage.setItem(KEY, wanted);
  } catch {
    // A browser that keeps nothing speaks it until the page is left.
  }
  for (const listener of listeners) listener();
}

export const whenSpoken = (listener) => listeners.push(listener);
export const known = (key) => key in WORDS[language];

/** A text by its key: {name} is replaced, and {n} chooses between one and many. */
export function t(key, values = {}) {
  let text = WORDS[language][key];
  if (text === undefined) {
    console.error(`There is no text for ${key} in ${language}.`);
    return key;
  }
  if (typeof text !== "string") text = text[new Intl.PluralRules(language).select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => written(values[name]));
}

const written = (value) => (typeof value === "number" ? new Intl.NumberFormat(locale()).format(value) : (value ?? ""));

/** Put the texts of a part of the page that is written in HTML: data-t, data-t-title, data-t-label. */
export function translate(root) {
  document.documentElement.lang = language;
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
}
