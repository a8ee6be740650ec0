// Rendered frames: fetched when they come into view, a few at once, the large ones first, shown as blobs.

import { el } from "./elements.js";
import { t } from "./language.js";
import { windowOf } from "./png.js";
import { request } from "./requests.js";

const AT_ONCE = 6;
const KEPT = 600;
const ATTEMPTS = 4;
// Orthanc cannot say 429, and says 503 in its place.
const BUSY = new Set([429, 503]);
const kept = new Map();
const waiting = [];
let running = 0;

/**
 * One frame as {url, own}, where `own` is the window that it was rendered with; null once it is not `wanted` any more.
 * `frame` is {sop_instance_uid, frame_number}; `window` is {center, width}, or null for the frame's own.
 */
export function rendered(frame, size, window = null, wanted = () => true) {
  const windowed = window ? `&window_center=${round(window.center)}&window_width=${round(window.width)}` : "";
  const path = `api/instances/${frame.sop_instance_uid}/frames/${frame.frame_number}/rendered?size=${size}${windowed}`;
  if (kept.has(path)) return kept.get(path);
  return new Promise((resolve, reject) => {
    const job = { path, size, wanted, resolve, reject };
    const before = waiting.findIndex((other) => other.size < size);
    waiting.splice(before < 0 ? waiting.length : before, 0, job);
    next();
  });
}

const round = (value) => Number(value.toPrecision(5));

async function next() {
  if (running >= AT_ONCE || waiting.length === 0) return;
  const { path, wanted, resolve, reject } = waiting.shift();
  if (!wanted()) {
    resolve(null);
    return next();
  }
  running += 1;
  try {
    if (!kept.has(path)) keep(path, await patiently(() => fetched(path)));
    resolve(await kept.get(path));
  } catch (problem) {
    reject(problem);
  } finally {
    running -= 1;
    next();
  }
}

async function fetched(path) {
  const buffer = await (await request(path)).arrayBuffer();
  return { url: URL.createObjectURL(new Blob([buffer], { type: "image/png" })), own: windowOf(buffer) };
}

function keep(path, picture) {
  kept.set(path, picture);
  if (kept.size <= KEPT) return;
  const [oldest] = kept.keys();
  URL.revokeObjectURL(kept.get(oldest).url);
  kept.delete(oldest);
}

/** Many pictures at once are too many for a moment; a moment later they are not. */
async function patiently(ask) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (problem) {
      if (!BUSY.has(problem.status) || attempt === ATTEMPTS) throw problem;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(attempt, problem.retryAfter ?? 1)));
    }
  }
}

// Small pictures that never change: the lists and the strips

const wishes = new WeakMap();
const inView = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      inView.unobserve(entry.target);
      load(entry.target);
    }
  },
  { rootMargin: "150px" },
);

/** Do something once a part of the page comes into view. */
export function whenSeen(node, seen) {
  wishes.set(node, seen);
  inView.observe(node);
}

/** A black tile with one frame in it, or a data URL, or nothing. */
export function picture(frame, size, alt) {
  const tile = el("span.picture", alt ? { role: "img", "aria-label": alt } : { "aria-hidden": "true" });
  if (!frame) failed(tile, t("viewer.none"));
  else if (typeof frame === "string") put(tile, frame);
  else {
    tile.classList.add("loading");
    whenSeen(tile, () => fill(tile, frame, size));
  }
  return tile;
}

const load = (node) => wishes.get(node)();

async function fill(tile, frame, size) {
  try {
    const found = await rendered(frame, size, null, () => tile.isConnected);
    if (found) put(tile, found.url);
  } catch (problem) {
    failed(tile, problem.message);
  }
}

function put(tile, url) {
  const image = el("img", { src: url, alt: "", draggable: "false" });
  image.onload = () => tile.classList.remove("loading");
  tile.replaceChildren(image);
}

/** Say that there is no picture, and why. */
export function failed(tile, why) {
  tile.classList.remove("loading");
  tile.classList.add("failed");
  tile.title = why;
  tile.replaceChildren(el("span", {}, t("viewer.none")));
}
