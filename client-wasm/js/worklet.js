// The loudspeaker's end of the ring: reads samples at the speed that the Worker sets, and reports its position.
//
// Integers: WRITE, READ, FLOOR, SILENCE, PLAY. Floats: SPEED, RATIO, OFFSET. `audio.rs` has the same slots, and
// documents them.
const WRITE = 0, READ = 1, FLOOR = 2, SILENCE = 3, PLAY = 4;
const SPEED = 0, RATIO = 1, OFFSET = 2;
// Number of blocks between two reports, where memory is not shared.
const REPORT = 8;

class Ring extends AudioWorkletProcessor {
  constructor({ processorOptions: { ints, floats, planes, capacity, channels } }) {
    super();
    this.capacity = capacity;
    this.shared = Boolean(ints);
    this.ints = new Int32Array(ints ?? 5);
    this.floats = new Float64Array(floats ?? 3);
    this.planes = planes
      ? planes.map((plane) => new Float32Array(plane))
      : Array.from({ length: channels }, () => new Float32Array(capacity));
    if (!this.shared) {
      this.floats[SPEED] = this.floats[RATIO] = 1;
    }
    this.fraction = 0;
    this.blocks = 0;
    this.port.onmessage = ({ data }) => this.connect(data);
  }

  // Messages from the Worker, where memory cannot be shared.
  connect(port) {
    this.worker = port;
    port.onmessage = ({ data }) => {
      if (Array.isArray(data)) {
        const [kind, slot, value] = data;
        (kind === 'int' ? this.ints : this.floats)[slot] = value;
        return;
      }
      const { index, planes } = data;
      const length = planes[0].length;
      planes.forEach((samples, plane) => {
        const at = (index >>> 0) % this.capacity;
        const first = Math.min(length, this.capacity - at);
        this.planes[plane].set(samples.subarray(0, first), at);
        this.planes[plane].set(samples.subarray(first), 0);
      });
      this.ints[WRITE] = (index + length) | 0;
    };
  }

  process(_inputs, [output]) {
    const { ints, floats, planes, capacity } = this;
    const frames = output[0].length;
    let read = Atomics.load(ints, READ);
    const floor = Atomics.load(ints, FLOOR);
    if (((floor - read) | 0) > 0) {
      read = floor;
      this.fraction = 0;
    }
    let from = 0;
    if (Atomics.load(ints, PLAY) === 1) {
      const silence = Atomics.load(ints, SILENCE);
      if (silence > 0) {
        from = Math.min(silence, frames);
        Atomics.sub(ints, SILENCE, from);
      }
    } else {
      from = frames;
    }
    const speed = floats[SPEED] || 1;
    let left = (Atomics.load(ints, WRITE) - read) | 0;
    let fraction = this.fraction;
    for (let frame = from; frame < frames; frame++) {
      // The ring is empty: play silence, and do not advance.
      if (left < 2) break;
      const at = (read >>> 0) % capacity;
      const next = at + 1 === capacity ? 0 : at + 1;
      for (let channel = 0; channel < output.length; channel++) {
        const plane = planes[Math.min(channel, planes.length - 1)];
        output[channel][frame] = plane[at] + (plane[next] - plane[at]) * fraction;
      }
      fraction += speed;
      const whole = Math.floor(fraction);
      fraction -= whole;
      read = (read + whole) | 0;
      left -= whole;
    }
    this.fraction = fraction;
    Atomics.store(ints, READ, read);
    floats[OFFSET] = (read >>> 0) + fraction - (currentFrame + frames) * (floats[RATIO] || 1);
    if (this.worker && ++this.blocks % REPORT === 0) {
      this.worker.postMessage({ read, offset: floats[OFFSET] });
    }
    return true;
  }
}

registerProcessor('fanfare-ring', Ring);
