// Where two frames are alike as a thin warm line around it, lightly tinted inside; as indexer/answers/canvas.py draws it.

const WARM = [255, 190, 92];
const LEVEL = 0.5;
const TINT = 0.22;
const LINE = { half: 2.2, strength: 0.9 };
const SHADOW = { half: 4.5, strength: 0.55 };

/** The pixels of a map, {rows, columns, values, area}, over a picture of this size: ImageData, clear where nothing is. */
export function contour({ rows, columns, values, area }, width, height) {
  const blur = Math.max(width / columns / 4, 1);
  const across = weights(width, columns, area.left, area.width, blur);
  const down = weights(height, rows, area.top, area.height, blur);
  const level = spread(values, across, down);
  const drawn = new ImageData(width, height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * width + x;
      const [left, right] = [x > 0 ? at - 1 : at, x + 1 < width ? at + 1 : at];
      const [above, below] = [y > 0 ? at - width : at, y + 1 < height ? at + width : at];
      const steepness = Math.hypot((level[right] - level[left]) / (right - left), ((level[below] - level[above]) / (below - above)) * width);
      const away = Math.abs(level[at] - LEVEL) / Math.max(steepness, 1e-4);
      const warm = Math.max(within(LINE.half - away) * LINE.strength, TINT * within((level[at] - LEVEL) / (1 - LEVEL)));
      put(drawn.data, at * 4, warm, within(SHADOW.half - away) * SHADOW.strength);
    }
  }
  return drawn;
}

/** The warm colour over the line's shadow over the picture, as one colour and how much it covers. */
function put(data, at, warm, shadow) {
  const covered = warm + shadow * (1 - warm);
  if (covered < 1 / 255) return;
  for (let channel = 0; channel < 3; channel += 1) data[at + channel] = (WARM[channel] * warm) / covered;
  data[at + 3] = covered * 255;
}

/** The map at every pixel, in [0, 1]. */
function spread(values, across, down) {
  const level = new Float32Array(across.length * down.length);
  down.forEach((rowWeights, y) => {
    const row = values[0].map((_, column) => rowWeights.reduce((sum, weight, index) => sum + weight * values[index][column], 0));
    across.forEach((columnWeights, x) => {
      let sum = 0;
      for (let column = 0; column < row.length; column += 1) sum += columnWeights[column] * row[column];
      level[y * across.length + x] = within(sum);
    });
  });
  return level;
}

/** How much each cell counts at each pixel along one side: cubic, then blurred; nothing beyond what the map covers. */
function weights(pixels, cells, from, length, blur) {
  const sharp = Array.from({ length: pixels }, (_, pixel) => cubic((((pixel + 0.5) / pixels - from) / length) * cells - 0.5, cells));
  const reach = Math.ceil(3 * blur);
  const bell = Array.from({ length: 2 * reach + 1 }, (_, index) => Math.exp(-(((index - reach) / blur) ** 2) / 2));
  const total = bell.reduce((sum, one) => sum + one, 0);
  return sharp.map((_, pixel) => {
    const place = ((pixel + 0.5) / pixels - from) / length;
    const blurred = new Float32Array(cells);
    if (place < 0 || place > 1) return blurred;
    bell.forEach((share, index) => {
      const near = sharp[Math.min(pixels - 1, Math.max(0, pixel + index - reach))];
      for (let cell = 0; cell < cells; cell += 1) blurred[cell] += (share / total) * near[cell];
    });
    return blurred;
  });
}

/** Keys, Cubic convolution interpolation, 1981, with a = -0.75; beyond the border the outermost cell goes on. */
function cubic(place, cells) {
  const found = new Float32Array(cells);
  const first = Math.floor(place);
  for (let cell = first - 1; cell <= first + 2; cell += 1) {
    const d = Math.abs(place - cell);
    const weight = d <= 1 ? 1.25 * d ** 3 - 2.25 * d ** 2 + 1 : -0.75 * (d ** 3 - 5 * d ** 2 + 8 * d - 4);
    found[Math.min(cells - 1, Math.max(0, cell))] += weight;
  }
  return found;
}

const within = (value) => Math.min(1, Math.max(0, value));
