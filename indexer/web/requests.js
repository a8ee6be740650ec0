// Asking the server: relative addresses only, so that the page works at / and at Orthanc's /cbir/.

const TOKEN = "cbir-token";

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

const OFFLINE = {
  status: 0,
  title: "No answer",
  reason: "offline",
  detail: "The server does not answer. Check that it runs, then try again.",
};

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
      throw new Problem(OFFLINE);
    }
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.reason !== "bad_token") throw problem;
    await newToken(used);
  }
}

export const json = async (path, options) => (await request(path, options)).json();

/** POST a question about what is indexed. */
export function ask(question, signal) {
  return json("api/search", {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json", "X-CBIR-Request": "1" },
    body: JSON.stringify(question),
  });
}

/** POST an example; XMLHttpRequest, because fetch tells no progress. */
export async function upload(body, contentType, query, { signal, progress }) {
  for (;;) {
    const used = sessionStorage.getItem(TOKEN);
    try {
      return await uploadOnce(body, contentType, query, { signal, progress });
    } catch (error) {
      if (error.reason !== "bad_token") throw error;
      await newToken(used);
    }
  }
}

function uploadOnce(body, contentType, query, { signal, progress }) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const path = `api/search/upload?${query}`;
    sending.open("POST", address(path));
    sending.responseType = "json";
    for (const [name, value] of Object.entries(headers(path, { "X-CBIR-Request": "1" }))) {
      sending.setRequestHeader(name, value);
    }
    sending.setRequestHeader("Content-Type", contentType);
    sending.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    sending.onload = () => {
      if (sending.status === 200) resolve(sending.response);
      else reject(new Problem(sending.response ?? unreadable(sending.status)));
    };
    sending.onerror = () => reject(new Problem(OFFLINE));
    sending.onabort = () => reject(new DOMException("given up", "AbortError"));
    signal.addEventListener("abort", () => sending.abort());
    sending.send(body);
  });
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
  detail: "Something between this page and the server answered in its place.",
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
