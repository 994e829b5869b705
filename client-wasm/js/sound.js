// The page's part of the sound: an AudioContext, and a ring that the Worker fills.

// Two seconds at 48 kHz.
const CAPACITY = 96_000;
// Interval between measurements for the Worker: short enough for clocks that drift.
const CLOCK_MS = 1_000;

export class Sound {
  #context;
  #gain;
  #node;
  #timer;
  #link;

  constructor(rate = 48_000, channels = 2) {
    this.#context = new AudioContext({ sampleRate: rate, latencyHint: 'interactive' });
    this.channels = Math.min(Math.max(channels, 1), 2);
  }

  // Returns whether the browser plays sound; if not, it waits for a gesture.
  get running() {
    return this.#context.state === 'running';
  }

  get context() {
    return this.#context;
  }

  // The last node before the loudspeaker, for pages that process the sound.
  get output() {
    return this.#gain;
  }

  resume() {
    return this.#context.resume();
  }

  // Builds the ring; returns the parts that the Worker needs, and those of them that must be transferred.
  async start() {
    const context = this.#context;
    await context.audioWorklet.addModule(new URL('worklet.js', import.meta.url).href);
    const shared = globalThis.crossOriginIsolated === true && typeof SharedArrayBuffer === 'function';
    const { channels } = this;
    const ring = { capacity: CAPACITY, channels };
    if (shared) {
      ring.ints = new SharedArrayBuffer(5 * 4);
      ring.floats = new SharedArrayBuffer(3 * 8);
      ring.planes = Array.from({ length: channels }, () => new SharedArrayBuffer(CAPACITY * 4));
      new Float64Array(ring.floats).set([1, 1, 0]);
    }
    this.#node = new AudioWorkletNode(context, 'fanfare-ring', {
      numberOfInputs: 0,
      outputChannelCount: [channels],
      processorOptions: ring,
    });
    this.#gain = context.createGain();
    this.#node.connect(this.#gain).connect(context.destination);
    this.#link = { ...ring, rate: context.sampleRate };
    if (shared) return [this.#link, []];
    const { port1, port2 } = new MessageChannel();
    this.#node.port.postMessage(port1, [port1]);
    return [{ ...this.#link, port: port2 }, [port2]];
  }

  // Reports at intervals which position is audible at which time.
  onclock(report) {
    const context = this.#context;
    const measure = () => {
      if (context.state !== 'running') return;
      const { contextTime, performanceTime } = context.getOutputTimestamp?.() ?? {};
      const { currentTime } = context;
      // Read this clock last, so that a delay in between does not make the loudspeaker look slower than it is.
      const now = performance.now();
      const known = contextTime > 0 && performanceTime > 0;
      const heard = known ? contextTime : currentTime - (context.outputLatency || context.baseLatency || 0);
      const at = known ? performanceTime : now;
      const latency = Math.max(0, currentTime - heard - (now - at) / 1e3);
      const { timeOrigin } = performance;
      report({ heard, at: timeOrigin + at, latency, said: timeOrigin + now });
    };
    measure();
    // Measure again soon: the first numbers of a new context are rough.
    setTimeout(measure, 150);
    this.#timer = setInterval(measure, CLOCK_MS);
  }

  set volume(volume) {
    // Fade over a short time, because a step would click.
    this.#gain?.gain.setTargetAtTime(volume, this.#context.currentTime, 0.015);
  }

  close() {
    clearInterval(this.#timer);
    this.#node?.disconnect();
    this.#context.close();
  }
}
