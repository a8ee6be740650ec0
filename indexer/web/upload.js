// DICOM from this computer, as one body that Orthanc's proxy passes on (it swallows multipart/form-data).

import { t } from "./language.js";

const MAGIC_AT = 128;

/** The files of a drop, those in folders too. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return found;
    for (const one of some) found.push(...(await filesOf(one)));
  }
}

/** What is asked with: {body, contentType, files, ignored}. Throws an Error that says what to choose. */
export async function example(files) {
  const kinds = await Promise.all(files.map(kind));
  const dicom = files.filter((_, index) => kinds[index] === "dicom");
  const zips = files.filter((_, index) => kinds[index] === "zip");
  const ignored = files.length - dicom.length - zips.length;
  if (zips.length + dicom.length === 0) {
    throw new Error(t("drop.none"));
  }
  if (zips.length > 1 || (zips.length === 1 && dicom.length > 0)) {
    throw new Error(t("drop.mixed"));
  }
  if (zips.length === 1) return { body: zips[0], contentType: "application/zip", files: 1, ignored };
  if (dicom.length === 1) return { body: dicom[0], contentType: "application/dicom", files: 1, ignored };
  return { ...related(dicom), files: dicom.length, ignored };
}

async function kind(file) {
  const head = new Uint8Array(await file.slice(0, MAGIC_AT + 4).arrayBuffer());
  const text = (from, to) => String.fromCharCode(...head.slice(from, to));
  if (text(MAGIC_AT, MAGIC_AT + 4) === "DICM") return "dicom";
  return text(0, 4) === "PK\u0003\u0004" ? "zip" : "other";
}

/** The browser reads the files while it sends them; nothing is copied here. */
function related(files) {
  const boundary = `cbir-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
  const opening = `\r\n--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`;
  const body = new Blob([...files.flatMap((file) => [opening, file]), `\r\n--${boundary}--\r\n`]);
  return { body, contentType: `multipart/related; type="application/dicom"; boundary=${boundary}` };
}
