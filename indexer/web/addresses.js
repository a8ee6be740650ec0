// Addresses: ?study=, ?series= or ?instance=&frame= asks at once, with &region= a part of the frame.

const NAMES = { study: "study_instance_uid", series: "series_instance_uid", instance: "sop_instance_uid" };
const SIDES = ["left", "top", "width", "height"];

/** What an address asks with: {reference, region}; null where it asks nothing. */
export function asked(search) {
  const given = new URLSearchParams(search);
  for (const [name, keyword] of Object.entries(NAMES)) {
    if (!given.get(name)) continue;
    const frame = name === "instance" && Number(given.get("frame"));
    const reference = { [keyword]: given.get(name), ...(frame ? { frame_number: frame } : {}) };
    return { reference, region: regionOf(given.get("region"), reference) };
  }
  return null;
}

/** The address of a question. */
export function addressOf(reference, region = null) {
  if (!reference) return location.pathname;
  const [name, keyword] = Object.entries(NAMES).find(([, one]) => reference[one]);
  const query = new URLSearchParams({ [name]: reference[keyword] });
  if (reference.frame_number) query.set("frame", reference.frame_number);
  if (region) query.set("region", SIDES.map((side) => Number(region[side].toFixed(4))).join(","));
  return `?${query.toString().replaceAll("%2C", ",")}`;
}

function regionOf(text, reference) {
  const values = (text ?? "").split(",").map(Number);
  if (!reference.sop_instance_uid || values.length !== SIDES.length || !values.every((value) => value >= 0 && value <= 1)) return null;
  return Object.fromEntries(SIDES.map((side, index) => [side, values[index]]));
}
