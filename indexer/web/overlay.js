// What lies over a picture: the region that is asked about, the place where it was found, and where two frames are alike.

import { contour } from "./contour.js";
import { el, svg } from "./elements.js";

const LONGEST = 768;

/** Over an image with object-fit: contain; both layers have its shape, and so its place. */
export class Overlay {
  /** `size` is how many pixels a side the image is asked for with: the line is as wide wherever it is drawn. */
  constructor(size) {
    this.longest = Math.min(size, LONGEST);
    this.marks = svg("svg", { class: "marks", "aria-hidden": "true" });
    this.canvas = el("canvas.map", { "aria-hidden": "true" });
    this.canvas.hidden = true;
    this.rectangles = {};
    this.fit(1, 1);
  }

  /** Take the shape of an image, in its pixels. */
  fit(width, height) {
    if (this.width === width && this.height === height) return;
    [this.width, this.height] = [width, height];
    this.marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const scale = this.longest / Math.max(width, height);
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    for (const [kind, region] of Object.entries(this.rectangles)) this.mark(kind, region);
    if (this.values) this.map(this.values);
  }

  /** Draw a rectangle of a kind ("asked", "place") in fractions of the image; null takes it away. */
  mark(kind, region) {
    this.rectangles[kind] = region;
    this.marks.querySelector(`.${kind}`)?.remove();
    if (!region) return;
    const at = { x: region.left * this.width, y: region.top * this.height, width: region.width * this.width, height: region.height * this.height };
    const group = svg("g", { class: kind }, svg("rect", { ...at, class: "under" }), svg("rect", { ...at, class: "over" }));
    this.marks.append(group);
  }

  /** Draw where the frames are alike: {rows, columns, values, area}; null takes it away. */
  map(found) {
    this.values = found;
    this.canvas.hidden = !found;
    if (!found) return;
    this.canvas.getContext("2d").putImageData(contour(found, this.canvas.width, this.canvas.height), 0, 0);
  }

  /** Where in the image a pointer is, in fractions of it; may lie outside. */
  at(event) {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.marks.getScreenCTM().inverse());
    return { x: point.x / this.width, y: point.y / this.height };
  }
}
