// Samples a canvas and the sound, with times in milliseconds since the UNIX epoch.

// Large enough for the burned-in clock, small enough to be cheap.
const WIDTH = 128;
const HEIGHT = 72;

const now = () => performance.timeOrigin + performance.now();

// Samples the luma of a canvas, about ten times a second for `length` milliseconds: [time, base64] each. The samples are
// not in step with the frames, so that they see frames of every age.
export async function pictures(canvas, length) {
  const context = new OffscreenCanvas(WIDTH, HEIGHT).getContext('2d', { willReadFrequently: true });
  const taken = [];
  const end = now() + length;
  let next = now();
  while (now() < end) {
    await new Promise(requestAnimationFrame);
    if (now() < next) continue;
    next += 70 + Math.random() * 60;
    const at = now();
    context.drawImage(canvas, 0, 0, WIDTH, HEIGHT);
    const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
    let luma = '';
    for (let pixel = 0; pixel < data.length; pixel += 4) luma += String.fromCharCode(data[pixel + 1]);
    taken.push([at, btoa(luma)]);
  }
  return { width: WIDTH, height: HEIGHT, taken };
}

// Samples the brightness of a canvas, 0 to 255, at each refresh of the page for `length` milliseconds, and returns the
// changes.
export async function levels(canvas, length) {
  const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const seen = [];
  const end = now() + length;
  while (now() < end) {
    await new Promise(requestAnimationFrame);
    context.drawImage(canvas, 0, 0, 1, 1);
    const [, level] = context.getImageData(0, 0, 1, 1).data;
    if (level !== seen.at(-1)) seen.push(level);
  }
  return seen;
}

const LISTENER = `
registerProcessor('listener', class extends AudioWorkletProcessor {
  quiet = 0;
  process([[input]]) {
    if (!input) return true;
    for (let index = 0; index < input.length; index++) {
      if (Math.abs(input[index]) < 0.05) { this.quiet++; continue; }
      if (this.quiet > sampleRate / 5) this.port.postMessage((currentFrame + index) / sampleRate);
      this.quiet = 0;
    }
    return true;
  }
});`;

// Returns the times of the beeps in `length` milliseconds.
export async function beeps(node, length) {
  const { context } = node;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([LISTENER], { type: 'text/javascript' })));
  const listener = new AudioWorkletNode(context, 'listener');
  node.connect(listener).connect(context.destination);
  const heard = [];
  listener.port.onmessage = ({ data: seconds }) => {
    const { contextTime, performanceTime } = context.getOutputTimestamp();
    heard.push(performance.timeOrigin + performanceTime + (seconds - contextTime) * 1e3);
  };
  await new Promise((over) => setTimeout(over, length));
  listener.disconnect();
  return heard;
}
