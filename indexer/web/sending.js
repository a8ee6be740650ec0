// Sending cases to a workstation: which ones, and to whom.

import { el, toast } from "./elements.js";
import { t } from "./language.js";
import { picture } from "./pictures.js";
import { json, post } from "./requests.js";
import { day, dotted, what } from "./wording.js";

const THUMB = 96;
const FOLLOW_MS = 700;
const UNHEARD = 20;

export class Sending {
  constructor(dialog) {
    this.dialog = dialog;
    this.destinations = [];
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  /** Ask where cases may be sent; nowhere where that is not offered. */
  async learn() {
    try {
      const { destinations, deidentify } = await json("api/destinations");
      this.destinations = destinations ?? [];
      this.deidentify = deidentify;
    } catch {
      this.destinations = [];
    }
    return this.destinations.length > 0;
  }

  /** Choose among these matches, some of them chosen already; `example` is the study asked about. */
  open(matches, chosen, example) {
    this.example = example;
    const boxes = matches.map((match, index) => this.#box(match, chosen.includes(match.study_instance_uid), index));
    const to = el("select", { id: "send-to" }, ...this.destinations.map((one) => el("option", {}, one)));
    const go = el("button.primary", { type: "submit" });
    const leave = el("button", { type: "button", onclick: () => this.dialog.close() }, t("send.cancel"));
    const problem = el("p.bad", { role: "alert" });
    const picked = () => boxes.filter(({ input }) => input.checked).map(({ match }) => match.study_instance_uid);
    const count = () => {
      go.textContent = picked().length ? t("send.go", { n: picked().length }) : t("send.none");
      go.disabled = !picked().length;
    };
    const form = el(
      "form",
      { method: "dialog", onchange: count, onsubmit: (event) => (event.preventDefault(), this.#send(picked(), to.value, { form, go, leave, problem })) },
      el("h2", { id: "send-title" }, t("send.title")),
      el("label", { for: to.id }, t("send.to")),
      to,
      el("fieldset", {}, el("legend", {}, t("send.cases")), ...boxes.map(({ label }) => label)),
      this.#policy(),
      problem,
      el("div.row.end", {}, leave, go),
    );
    this.dialog.replaceChildren(form);
    count();
    this.dialog.showModal();
    to.focus();
  }

  /** Whether the cases go out with their names: all that can be chosen here are other patients'. */
  #policy() {
    if (!this.deidentify) return null;
    const named = this.deidentify === "never";
    return el("p", { class: named ? "small warning-line" : "small muted" }, t(named ? "send.named" : "send.deidentified"));
  }

  #box(match, checked, index) {
    const input = el("input", { type: "checkbox", id: `send-${index}` });
    input.checked = checked;
    const same = match.possible_same_person ? el("span.flag.warning", { title: t("match.same.why") }, t("match.same")) : null;
    const label = el("label.check", { for: input.id }, input, picture({ sop_instance_uid: match.sop_instance_uid, frame_number: match.frame_number }, THUMB, ""), el("b", {}, String(match.rank)), el("span", {}, dotted(what(match), day(match.study_date)), same));
    return { match, input, label };
  }

  async #send(studies, destination, { form, go, leave, problem }) {
    const choosing = (may) => form.querySelectorAll("fieldset, select").forEach((node) => (node.disabled = !may));
    choosing(false);
    go.disabled = true;
    go.textContent = t("send.sending");
    problem.textContent = "";
    const shown = () => form.isConnected && this.dialog.open;
    try {
      const begun = await post("api/send", { studies, destination, ...(this.example ? { example: this.example } : {}) });
      leave.textContent = t("send.leave");
      const { sent, failed } = await followed(begun, ({ sent, instances }) => (go.textContent = t("send.progress", { sent, instances })));
      if (shown()) this.dialog.close();
      toast(t(failed ? "send.partly" : "send.done", { n: sent, failed, destination }));
    } catch (error) {
      if (!shown()) return toast(error.message);
      problem.textContent = error.message;
      choosing(true);
      go.disabled = false;
      go.textContent = t("send.go", { n: studies.length });
      leave.textContent = t("send.cancel");
    }
  }
}

/** A sending once it is over; `tell` hears how far it is. It goes on, whether somebody listens or not. */
async function followed(begun, tell) {
  let sending = begun;
  for (let unheard = 0; sending.state === "sending"; ) {
    tell(sending);
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    try {
      sending = await json(`api/sendings/${begun.id}`);
      unheard = 0;
    } catch (error) {
      unheard += 1;
      if (error.status === 404 || unheard >= UNHEARD) throw new Error(t("send.lost"));
    }
  }
  if (sending.state === "failed") throw new Error(t("send.broken", { sent: sending.sent, instances: sending.instances, why: sending.message }));
  return sending;
}
