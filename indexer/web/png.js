// The window that a PNG of ours was rendered with, as its text chunks say.

const SIGNATURE = 8;
const WANTED = new Set(["WindowCenter", "WindowWidth", "PhotometricInterpretation"]);

/** {center, width, inverted} of a grey frame; null for colour, and for a PNG that does not say. */
export function windowOf(buffer) {
  const texts = {};
  const view = new DataView(buffer);
  for (let at = SIGNATURE; at + 8 <= view.byteLength; ) {
    const length = view.getUint32(at);
    const kind = letters(buffer, at + 4, 4);
    if (kind === "IDAT" || at + 8 + length > view.byteLength) break;
    if (kind === "tEXt") {
      const [keyword, text] = letters(buffer, at + 8, length).split("\0");
      if (WANTED.has(keyword)) texts[keyword] = text;
    }
    at += length + 12;
  }
  const center = Number(texts.WindowCenter);
  const width = Number(texts.WindowWidth);
  if (!(width > 0) || !Number.isFinite(center)) return null;
  return { center, width, inverted: texts.PhotometricInterpretation === "MONOCHROME1" };
}

const letters = (buffer, at, length) => String.fromCharCode(...new Uint8Array(buffer, at, length));
