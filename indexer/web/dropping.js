// Dropping files anywhere on the page.

import { dropped } from "./upload.js";

/** Show `sign` while files hang over the page; `taken(files)` gets them. */
export function takeDrops(sign, taken) {
  let depth = 0;
  const carriesFiles = (event) => [...event.dataTransfer.types].includes("Files");
  const show = (now) => {
    depth = now;
    sign.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => carriesFiles(event) && show(depth + 1));
  addEventListener("dragleave", (event) => carriesFiles(event) && show(Math.max(0, depth - 1)));
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    show(0);
    taken(await dropped(event.dataTransfer));
  });
}
