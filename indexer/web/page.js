// The page: what is indexed, an example, and the prior cases that look like it.

import { addressOf, asked } from "./addresses.js";
import { Answer, ordered } from "./answer.js";
import { Archive } from "./archive.js";
import { Asking } from "./asking.js";
import { Chosen } from "./chosen.js";
import { Compare } from "./compare.js";
import { takeDrops } from "./dropping.js";
import { Example } from "./example.js";
import { Filters } from "./filters.js";
import { help } from "./help.js";
import { other, speak, t, translate, whenSpoken } from "./language.js";
import { MapSwitch } from "./maps.js";
import { Problem, json } from "./requests.js";
import { Sending } from "./sending.js";
import { statusDown, statusLine } from "./status.js";
import { example as exampleOf } from "./upload.js";
import { Windowing } from "./windowing.js";
import { WordsBox } from "./words_box.js";

const STATUS_EVERY_MS = 10_000;
const MOST_SENT = 20;
const byId = (id) => document.getElementById(id);

let answer = null;
let pending = new AbortController();
let status = null;
let drawn = () => {};

const windowing = new Windowing();
const maps = new MapSwitch();
const chosen = new Chosen(() => {
  scrollTo({ top: 0 });
  askAgain();
});
const sending = new Sending(byId("send"));
const words = new WordsBox(byId("words"), () => (asking.isEmpty ? show(null) : askAgain()));
const filters = new Filters(byId("filters"), () => {
  if (asking.isEmpty) archive.show();
  else if (!asking.example?.upload) askAgain();
});
const asking = new Asking({ filters, words, chosen, maps });
const archive = new Archive(byId("content"), filters, (reference) => go(reference));
const panel = new Example(byId("example"), windowing, {
  ask: (reference, region = null) => askPart(reference, region),
  files: (files) => askWith(files),
  again: () => askAgain(),
  cancel: () => (asking.example?.upload ? go(null) : history.back()),
  home: () => go(null),
});
const page = { windowing, maps, chosen };
const compare = new Compare(byId("compare"), page, (match) => panel.pair(match));
const answers = new Answer(byId("content"), page, {
  ask: (reference) => go(reference),
  compare: (index) => compare.open(answer, answer.matches, index),
  comparePatient: (study) => compare.open(answer, answer.same_patient, answer.same_patient.indexOf(study)),
  choose: (match, role) => chosen.toggle(match, role),
  pair: (match) => panel.pair(match),
  home: () => go(null),
  send: null,
});

// From one state to the next

function go(reference, region = null) {
  history.pushState(null, "", addressOf(reference, region));
  show(reference && { reference, region });
}

/** Another part of the same example, or of the files that were uploaded. */
function askPart(reference, region) {
  if (!asking.example?.upload) {
    chosen.clear();
    return go(reference, region);
  }
  asking.example.region = region && { ...reference, ...region };
  return askAgain();
}

function show(example) {
  pending.abort();
  answer = null;
  chosen.clear();
  asking.example = example;
  scrollTo({ top: 0 });
  if (!example) words.text = "";
  words.draw();
  if (example) return askAgain();
  drawn = () => {
    document.body.classList.remove("asked");
    answers.leave();
    panel.empty();
    archive.show();
  };
  return drawn();
}

async function askWith(files) {
  pending.abort();
  let upload;
  try {
    upload = await exampleOf(files);
  } catch (error) {
    return refuse(ownProblem(422, error.message));
  }
  if (status && upload.body.size > status.max_upload_bytes) {
    return refuse(ownProblem(413, t("drop.large", { n: Math.floor(status.max_upload_bytes / 2 ** 20) })));
  }
  history.pushState(null, "", addressOf(null));
  chosen.clear();
  asking.example = { upload };
  scrollTo({ top: 0 });
  return askAgain();
}

async function askAgain() {
  if (asking.isEmpty) return show(null);
  pending.abort();
  pending = new AbortController();
  const { signal } = pending;
  archive.leave();
  document.body.classList.add("asked");
  words.beside(asking.example);
  panel.asking(t(asking.example?.upload ? "asking.sending" : "asking.comparing", { n: 0 }), Boolean(asking.example?.upload));
  answers.asking();
  try {
    const found = await asking.ask(signal, (share, text) => panel.progress(share, text));
    if (!signal.aborted) showAnswer(found);
  } catch (problem) {
    if (problem.name === "AbortError" || signal.aborted) return undefined;
    if (!(problem instanceof Problem)) throw problem;
    refuse(problem, Object.values(asking.example?.reference ?? {})[0], asking.example?.upload);
  }
  return undefined;
}

function showAnswer(found) {
  answer = ordered(found);
  maps.archived = !asking.example?.upload;
  drawn = () => {
    const { reference, region } = asking.example ?? {};
    if (asking.example) panel.answered(answer, reference, region);
    else panel.words(words.text);
    answers.show(answer, filters.any);
  };
  drawn();
  filters.learn(answer.matches.map((match) => ({ modalities: [match.modality], body_parts: [match.body_part_examined] })));
  byId("content").focus({ preventScroll: true });
}

function refuse(problem, named, upload) {
  archive.leave();
  drawn = () => {
    document.body.classList.add("asked");
    panel.refused(named, upload);
    answers.failed(problem, () => askAgain());
  };
  drawn();
}

function ownProblem(code, detail) {
  const problem = new Problem({ status: code, detail });
  problem.own = true;
  return problem;
}

// What is indexed, as it changes

async function refreshStatus() {
  if (document.hidden) return;
  try {
    const before = status;
    status = await json("api/status");
    statusLine(byId("status"), status);
    words.offer(status.text_encoder ?? null);
    if (before?.series.indexed === 0 && status.series.indexed > 0 && asking.isEmpty) archive.show();
  } catch (problem) {
    statusDown(byId("status"), problem);
  }
}

async function learnDestinations() {
  if (!(await sending.learn())) return;
  const alike = () => answer.matches.slice(0, answer.alike).map((match) => match.study_instance_uid);
  answers.offer((studies) => sending.open(answer.matches.slice(0, MOST_SENT), studies ?? alike(), answer.query.study_instance_uid));
}

// The top of the page

byId("language").addEventListener("click", () => speak(other()));
byId("theme").addEventListener("click", () => window.cbirTheme.choose(window.cbirTheme.other()));
byId("help-button").addEventListener("click", () => help(byId("help"), Boolean(status?.text_encoder)));
byId("help").addEventListener("click", (event) => event.target === byId("help") && byId("help").close());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("content").focus();
});
document.querySelector("[data-home]").addEventListener("click", (event) => {
  event.preventDefault();
  go(null);
});
whenSpoken(() => {
  translate(document);
  filters.translate();
  words.draw();
  panel.forget();
  drawn();
  if (status) statusLine(byId("status"), status);
});
maps.follow(() => maps.on && asking.example?.upload && answer?.matches.some((match) => !match.maps) && askAgain());
takeDrops(byId("drop"), (files) => askWith(files));
addEventListener("popstate", () => show(asked(location.search)));
document.addEventListener("visibilitychange", refreshStatus);
setInterval(refreshStatus, STATUS_EVERY_MS);
translate(document);
refreshStatus();
learnDestinations();
show(asked(location.search));
