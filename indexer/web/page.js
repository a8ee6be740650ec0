// The page: what is indexed, an example, and the prior cases that look like it.

import { Answer } from "./answer.js";
import { Archive, statusLine } from "./archive.js";
import { Compare } from "./compare.js";
import { el } from "./elements.js";
import { Example } from "./example.js";
import { Filters } from "./filters.js";
import { Problem, ask, json, upload } from "./requests.js";
import { dropped, example as exampleOf } from "./upload.js";

const STATUS_EVERY_MS = 10_000;
const byId = (id) => document.getElementById(id);

// What is asked with: null, {reference} or {upload}; and what came back.
let example = null;
let answer = null;
let pending = new AbortController();
let largestUpload = Infinity;
let indexedSeries = null;

const filters = new Filters(byId("filters"), () => {
  if (!example) archive.show();
  else if (example.reference) askAgain();
});
const archive = new Archive(byId("content"), filters, (reference) => go(reference));
const panel = new Example(byId("example"), {
  ask: (reference) => go(reference),
  files: (files) => askWith(files),
  again: () => askAgain(),
  home: () => go(null),
});
const compare = new Compare(byId("compare"), (match) => panel.pair(match));
const answers = new Answer(byId("content"), {
  ask: (reference) => go(reference),
  compare: (index) => compare.open(answer, index),
  pair: (match) => panel.pair(match),
  home: () => go(null),
});

// Addresses: ?study=, ?series= or ?instance=&frame= asks at once.

const NAMES = { study: "study_instance_uid", series: "series_instance_uid", instance: "sop_instance_uid" };

function referenceOf(search) {
  const given = new URLSearchParams(search);
  for (const [name, keyword] of Object.entries(NAMES)) {
    if (!given.get(name)) continue;
    const frame = name === "instance" && given.get("frame");
    return { [keyword]: given.get(name), ...(frame ? { frame_number: Number(frame) } : {}) };
  }
  return null;
}

function addressOf(reference) {
  if (!reference) return location.pathname;
  const [name, keyword] = Object.entries(NAMES).find(([, one]) => reference[one]);
  const frame = reference.frame_number ? `&frame=${reference.frame_number}` : "";
  return `?${name}=${reference[keyword]}${frame}`;
}

function go(reference) {
  history.pushState(null, "", addressOf(reference));
  show(reference);
}

function show(reference) {
  pending.abort();
  answer = null;
  example = reference ? { reference } : null;
  document.body.classList.toggle("asked", Boolean(example));
  scrollTo({ top: 0 });
  if (example) return askAgain();
  panel.empty();
  return archive.show();
}

// Asking

async function askWith(files) {
  pending.abort();
  let chosen;
  try {
    chosen = await exampleOf(files);
  } catch (error) {
    return refuse(new Problem({ status: 422, title: "No DICOM", detail: error.message }), "No DICOM");
  }
  if (chosen.body.size > largestUpload) {
    const detail = `This is larger than the ${Math.floor(largestUpload / 2 ** 20)} MiB that the server takes: choose one series.`;
    return refuse(new Problem({ status: 413, title: "Too large", detail }), "Too large");
  }
  history.pushState(null, "", addressOf(null));
  example = { upload: chosen };
  scrollTo({ top: 0 });
  return askAgain();
}

async function askAgain() {
  pending.abort();
  pending = new AbortController();
  const { signal } = pending;
  document.body.classList.add("asked");
  panel.asking(example.upload ? "Sending …" : "Comparing …");
  answers.asking();
  try {
    const found = await (example.upload ? askUpload(signal) : askReference(signal));
    if (signal.aborted) return;
    answer = found;
    panel.answered(answer);
    answers.show(answer, filters.any);
    filters.learn(answer.matches.map((match) => ({ modalities: [match.modality], body_parts: [match.body_part_examined] })));
    byId("content").focus({ preventScroll: true });
  } catch (problem) {
    if (problem.name === "AbortError" || signal.aborted) return;
    if (!(problem instanceof Problem)) throw problem;
    refuse(problem, example.upload ? "Upload" : Object.values(example.reference)[0]);
  }
}

function askReference(signal) {
  const question = {
    example: example.reference,
    limit: filters.limit,
    filters: filters.filters,
    same_patient: !filters.excludeSamePatient,
  };
  return ask(question, signal);
}

async function askUpload(signal) {
  const { body, contentType, ignored } = example.upload;
  const more = { limit: filters.limit, same_patient: !filters.excludeSamePatient, picture: true };
  const found = await upload(body, contentType, filters.query(more), { signal, progress: (share) => panel.sent(share) });
  found.query.ignored += ignored;
  return found;
}

function refuse(problem, what) {
  document.body.classList.add("asked");
  panel.refused(what);
  answers.refused(problem, () => askAgain());
}

// Dropping anywhere on the page

let depth = 0;
const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");

addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  depth += 1;
  byId("drop").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!carriesFiles(event)) return;
  depth = Math.max(0, depth - 1);
  byId("drop").hidden = depth === 0;
});
addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
addEventListener("drop", async (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  byId("drop").hidden = true;
  askWith(await dropped(event.dataTransfer));
});

// What is indexed, as it changes

async function refreshStatus() {
  if (document.hidden) return;
  try {
    const status = await json("api/status");
    largestUpload = status.max_upload_bytes;
    statusLine(byId("status"), status);
    const appeared = indexedSeries === 0 && status.series.indexed > 0;
    indexedSeries = status.series.indexed;
    if (appeared && !example) archive.show();
  } catch (problem) {
    byId("status").replaceChildren(el("span.dot.down"), el("span", { title: problem.message }, problem.title));
  }
}

document.querySelector("[data-home]").addEventListener("click", (event) => {
  event.preventDefault();
  go(null);
});
addEventListener("popstate", () => show(referenceOf(location.search)));
document.addEventListener("visibilitychange", refreshStatus);
setInterval(refreshStatus, STATUS_EVERY_MS);
refreshStatus();
show(referenceOf(location.search));
