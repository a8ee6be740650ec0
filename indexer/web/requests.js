// Asking the server: relative addresses only, so that the page works at / and at Orthanc's /cbir/.

import { t } from "./language.js";

const TOKEN = "cbir-token";
const PROGRESS = "application/x-ndjson";

/** What the server said no with: an RFC 9457 problem document. */
export class Problem extends Error {
  constructor(document, retryAfter) {
    super(document.detail || document.title);
    this.status = document.status;
    this.title = document.title;
    this.reason = document.reason;
    this.state = document.state;
    this.retryAfter = retryAfter;
  }
}

const offline = () => new Problem({ status: 0, title: t("problem.0"), reason: "offline", detail: t("problem.0.advice") });

export const address = (path) => new URL(path, document.baseURI).href;

/** Orthanc drops the query of a POST and keeps one value a name of a GET's: a header says it as well. */
function headers(path, more = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const [, query] = path.split("?");
  return {
    ...more,
    ...(query ? { "X-CBIR-Query": query } : {}),
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
  };
}

/** A response, with the token where one is wanted. Throws Problem; an AbortError passes. */
export async function request(path, options = {}) {
  for (;;) {
    const used = sessionStorage.getItem(TOKEN);
    let response;
    try {
      response = await fetch(address(path), { ...options, headers: headers(path, options.headers) });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw offline();
    }
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.reason !== "bad_token") throw problem;
    await newToken(used);
  }
}

export const json = async (path, options) => (await request(path, options)).json();

export const post = (path, body, signal) =>
  json(path, {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json", "X-CBIR-Request": "1" },
    body: JSON.stringify(body),
  });

/** POST an example; XMLHttpRequest, because fetch tells no progress. `sent` takes the share, `step` each line.
 * `text` is asked with, in a header: it may name a patient, and servers log the queries of addresses. */
export async function upload(body, contentType, query, { text, signal, sent, step }) {
  for (;;) {
    const used = sessionStorage.getItem(TOKEN);
    try {
      return await uploadOnce(body, contentType, query, { text, signal, sent, step });
    } catch (error) {
      if (error.reason !== "bad_token") throw error;
      await newToken(used);
    }
  }
}

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

function uploadOnce(body, contentType, query, { text, signal, sent, step }) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const path = `api/search/upload?${query}`;
    const lines = new Lines((line) => line.step && step(line));
    sending.open("POST", address(path));
    const own = { "X-CBIR-Request": "1", Accept: PROGRESS, ...(text ? { "X-CBIR-Text": base64(text) } : {}) };
    for (const [name, value] of Object.entries(headers(path, own))) {
      sending.setRequestHeader(name, value);
    }
    sending.setRequestHeader("Content-Type", contentType);
    sending.upload.onprogress = (event) => event.lengthComputable && sent(event.loaded / event.total);
    sending.upload.onload = () => sent(1);
    sending.onprogress = () => sending.status === 200 && lines.read(sending.responseText);
    sending.onload = () => {
      const last = sending.status === 200 ? lines.read(sending.responseText) : null;
      if (last?.answer) resolve(last.answer);
      else reject(new Problem(last?.problem ?? parsed(sending.responseText) ?? unreadable(sending.status)));
    };
    sending.onerror = () => reject(offline());
    sending.onabort = () => reject(new DOMException("given up", "AbortError"));
    signal.addEventListener("abort", () => sending.abort());
    sending.send(body);
  });
}

/** Lines of JSON out of a text that grows. */
class Lines {
  constructor(each) {
    this.each = each;
    this.at = 0;
    this.last = null;
  }

  /** Read what is whole; gives the last line. */
  read(text) {
    for (let end = text.indexOf("\n", this.at); end >= 0; end = text.indexOf("\n", this.at)) {
      this.last = parsed(text.slice(this.at, end));
      this.at = end + 1;
      if (this.last) this.each(this.last);
    }
    return this.last;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function problemOf(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  try {
    return new Problem(await response.json(), retryAfter);
  } catch {
    return new Problem(unreadable(response.status));
  }
}

const unreadable = (status) => ({
  status,
  title: `HTTP ${status}`,
  reason: "unreadable",
  detail: t("problem.unreadable"),
});

let asking = null;

/** Ask for the token once, however many requests were refused. */
async function newToken(used) {
  if (sessionStorage.getItem(TOKEN) !== used) return;
  asking ??= askForToken().finally(() => (asking = null));
  await asking;
}

function askForToken() {
  const dialog = document.getElementById("token");
  const input = dialog.querySelector("input");
  input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const done = () => {
      if (!input.value) return dialog.showModal();
      sessionStorage.setItem(TOKEN, input.value);
      dialog.removeEventListener("close", done);
      resolve();
    };
    dialog.addEventListener("close", done);
  });
}
