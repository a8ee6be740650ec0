// A question as the page holds it, and how it is sent: about what is archived, with files, or in words.

import { t } from "./language.js";
import { post, upload } from "./requests.js";

/** What of the time an upload takes is sending, embedding and searching; only for the bar. */
const SENT = 0.5;
const EMBEDDED = 0.95;

/** The example of a question: null for none, {reference, region} or {upload, region}. */
export class Asking {
  constructor({ filters, words, chosen, maps }) {
    Object.assign(this, { filters, words, chosen, maps });
    this.example = null;
  }

  get isEmpty() {
    return !this.example && !this.words.text && !this.chosen.more.length;
  }

  /** Ask; `progress(share, text)` is called while an upload goes on. Throws Problem. */
  ask(signal, progress) {
    return this.example?.upload ? this.#upload(signal, progress) : this.#refer(signal);
  }

  #refer(signal) {
    const { reference, region } = this.example ?? {};
    const cases = (uids) => uids.map((uid) => ({ series_instance_uid: uid }));
    const question = {
      ...(reference ? { example: reference } : {}),
      ...(region ? { region: { sop_instance_uid: reference.sop_instance_uid, frame_number: reference.frame_number, ...region } } : {}),
      ...this.filters.wishes,
      filters: this.filters.filters,
      text: this.words.text,
      text_weight: this.words.weight,
      more: cases(this.chosen.more),
      less: cases(this.chosen.less),
    };
    return post("api/search", question, signal);
  }

  async #upload(signal, progress) {
    const { upload: files, region } = this.example;
    const more = {
      ...this.filters.wishes,
      text_weight: this.words.weight,
      reads_reports: this.words.reads,
      more: this.chosen.more,
      less: this.chosen.less,
      picture: true,
      maps: this.maps.on,
      ...(region ? { region: [region.sop_instance_uid, region.frame_number, region.left, region.top, region.width, region.height].join(",") } : {}),
    };
    const answer = await upload(files.body, files.contentType, this.filters.query(more), {
      text: this.words.text,
      signal,
      // Orthanc passes the steps on at the end only: from the last byte on nobody knows how far it is.
      sent: (share) => (share < 1 ? progress(share * SENT, t("asking.sending", { n: Math.round(share * 100) })) : progress(null, t("asking.comparing"))),
      step: (line) => progress(...stepOf(line)),
    });
    answer.query.ignored += files.ignored;
    return { ...answer, query: { ...answer.query, region: region ?? null } };
  }
}

function stepOf({ step, number, of }) {
  if (step === "embedding") return [SENT + ((EMBEDDED - SENT) * (number - 1)) / of, t("asking.embedding", { n: number, of })];
  if (step === "received") return [SENT, t("asking.received", { n: number })];
  return [EMBEDDED, t("asking.searching")];
}
