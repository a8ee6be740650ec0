// The API's description, drawn from openapi.json without anything from another server.

import { el } from "./elements.js";
import { json } from "./requests.js";
import { problemCard } from "./states.js";

const content = document.getElementById("content");
const METHODS = ["get", "post", "put", "delete"];

async function show() {
  try {
    draw(await json("openapi.json"));
  } catch (problem) {
    content.replaceChildren(problemCard(problem, show));
  }
  content.setAttribute("aria-busy", "false");
}

function draw(api) {
  const sections = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((one) => item[one])) {
      const tag = item[method].tags?.[0] ?? "more";
      if (!sections.has(tag)) sections.set(tag, []);
      sections.get(tag).push(operation(api, method, path, item[method]));
    }
  }
  const intro = el(
    "section",
    {},
    el("h1", {}, `${api.info.title} ${api.info.version}`),
    el("p", {}, api.info.description),
    el("p.muted", {}, "Errors are problem documents (RFC 9457) whose detail says what to do. For machines: ", el("a", { href: "openapi.json" }, "openapi.json"), "."),
  );
  content.replaceChildren(intro, ...[...sections].map(([tag, found]) => el("section", {}, el("h2", {}, tag), ...found)));
}

function operation(api, method, path, described) {
  return el(
    "details.operation",
    {},
    el("summary", {}, el("span.method", {}, method.toUpperCase()), el("code", {}, path), el("span.muted", {}, described.description ?? described.summary)),
    el("div.operation-body", {}, parameters(api, described), body(api, described), responses(api, described)),
  );
}

function parameters(api, described) {
  const rows = (described.parameters ?? []).map((one) =>
    el("tr", {}, el("td", {}, el("code", {}, one.name)), el("td", {}, one.in), el("td", {}, el("code", {}, typeOf(api, one.schema))), el("td", {}, one.required ? "required" : String(one.schema?.default ?? ""))),
  );
  if (!rows.length) return null;
  const head = ["Parameter", "In", "Type", "Default"].map((name) => el("th", { scope: "col" }, name));
  return el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

function body(api, described) {
  const kinds = Object.entries(described.requestBody?.content ?? {});
  return kinds.length ? el("div", {}, el("h3", {}, "Body"), ...kinds.map(([kind, { schema }]) => shape(api, kind, schema))) : null;
}

function responses(api, described) {
  return el(
    "div",
    {},
    el("h3", {}, "Answers"),
    ...Object.entries(described.responses).flatMap(([status, answer]) =>
      Object.entries(answer.content ?? { "": {} }).map(([kind, { schema }]) => shape(api, `${status} ${kind}`, schema)),
    ),
  );
}

function shape(api, title, schema) {
  const text = schema ? JSON.stringify(example(api, schema), null, 2) : "";
  return el("details", {}, el("summary.muted", {}, title), text && text !== '"…"' ? el("pre", {}, text) : null);
}

function resolve(api, schema) {
  return schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema;
}

function typeOf(api, schema) {
  const resolved = resolve(api, schema) ?? {};
  if (resolved.anyOf) return resolved.anyOf.map((one) => typeOf(api, one)).join(" or ");
  if (resolved.enum) return resolved.enum.join(", ");
  if (resolved.type === "array") return `${typeOf(api, resolved.items)} …`;
  return resolved.format ?? resolved.type ?? "any";
}

/** The shape of a schema as a value of it. */
function example(api, schema, depth = 0) {
  const resolved = resolve(api, schema) ?? {};
  if (depth > 6) return "…";
  if (resolved.anyOf) return example(api, resolved.anyOf[0], depth + 1);
  if (resolved.properties) {
    return Object.fromEntries(Object.entries(resolved.properties).map(([name, one]) => [name, example(api, one, depth + 1)]));
  }
  if (resolved.type === "array") return [example(api, resolved.items ?? {}, depth + 1)];
  if (resolved.format === "binary") return "…";
  return typeOf(api, resolved);
}

show();
