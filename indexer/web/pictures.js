// Rendered frames: fetched when they come into view, a few at once, shown as blobs.

import { el } from "./elements.js";
import { request } from "./requests.js";

const AT_ONCE = 6;
const KEPT = 400;
const ATTEMPTS = 4;
// Orthanc cannot say 429, and says 503 in its place.
const BUSY = new Set([429, 503]);
const blobs = new Map();
const waiting = [];
let running = 0;

const inView = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      inView.unobserve(entry.target);
      load(entry.target);
    }
  },
  { rootMargin: "200px" },
);

const wanted = new WeakMap();

/** A black tile with one frame in it. `frame` is {sop_instance_uid, frame_number}, a data URL, or null. */
export function picture(frame, size, alt) {
  const tile = el("span.picture", { role: "img", "aria-label": alt });
  show(tile, frame, size);
  return tile;
}

/** Put another frame into a tile. */
export function show(tile, frame, size) {
  if (!frame) return failed(tile, "no picture");
  wanted.set(tile, { frame, size });
  tile.classList.remove("failed");
  tile.classList.add("loading");
  inView.observe(tile);
}

function load(tile) {
  const { frame, size } = wanted.get(tile);
  if (typeof frame === "string") return put(tile, frame);
  const path = `api/instances/${frame.sop_instance_uid}/frames/${frame.frame_number}/rendered?size=${size}`;
  const kept = blobs.get(path);
  if (kept) return put(tile, kept);
  waiting.push({ tile, path, frame });
  next();
}

async function next() {
  if (running >= AT_ONCE || waiting.length === 0) return;
  const { tile, path, frame } = waiting.shift();
  if (!tile.isConnected || wanted.get(tile).frame !== frame) return next();
  running += 1;
  try {
    const url = await patiently(() => fetched(path));
    if (wanted.get(tile).frame === frame) put(tile, url);
  } catch (problem) {
    if (wanted.get(tile).frame === frame) failed(tile, problem.message);
  } finally {
    running -= 1;
    next();
  }
}

async function fetched(path) {
  if (blobs.has(path)) return blobs.get(path);
  const url = URL.createObjectURL(await (await request(path)).blob());
  blobs.set(path, url);
  if (blobs.size > KEPT) {
    const [oldest] = blobs.keys();
    URL.revokeObjectURL(blobs.get(oldest));
    blobs.delete(oldest);
  }
  return url;
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

function put(tile, url) {
  const image = el("img", { src: url, alt: "", draggable: "false" });
  image.onload = () => tile.classList.remove("loading");
  tile.replaceChildren(image);
}

function failed(tile, why) {
  tile.classList.remove("loading");
  tile.classList.add("failed");
  tile.title = why;
  tile.replaceChildren(el("span.muted", {}, "no picture"));
}
