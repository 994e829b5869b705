// The page's part of the sound: an AudioContext, and a ring that the Worker fills.

// Two seconds at 48 kHz.
const CAPACITY = 96_000;
// How often the Worker is told what is heard when: often enough for clocks that drift.
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

  // Whether the browser lets it be heard; if not, it waits for a gesture.
  get running() {
    return this.#context.state === 'running';
  }

  get context() {
    return this.#context;
  }

  // The last node before the loudspeaker, for whoever wants to listen in.
  get output() {
    return this.#gain;
  }

  resume() {
    return this.#context.resume();
  }

  // Builds the ring; gives what the Worker needs of it, and what of that is to be transferred.
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

  // Tells regularly what is heard when.
  onclock(tell) {
    const context = this.#context;
    const measure = () => {
      if (context.state !== 'running') return;
      const { contextTime, performanceTime } = context.getOutputTimestamp?.() ?? {};
      const { currentTime } = context;
      // Last: whatever comes between does not make the loudspeaker look slower than it is.
      const now = performance.now();
      const known = contextTime > 0 && performanceTime > 0;
      const heard = known ? contextTime : currentTime - (context.outputLatency || context.baseLatency || 0);
      const at = known ? performanceTime : now;
      const latency = Math.max(0, currentTime - heard - (now - at) / 1e3);
      const { timeOrigin } = performance;
      tell({ heard, at: timeOrigin + at, latency, said: timeOrigin + now });
    };
    measure();
    // Soon again: the first figures of a context that has just started are rough.
    setTimeout(measure, 150);
    this.#timer = setInterval(measure, CLOCK_MS);
  }

  set volume(volume) {
    // A short fade, so that it does not click.
    this.#gain?.gain.setTargetAtTime(volume, this.#context.currentTime, 0.015);
  }

  close() {
    clearInterval(this.#timer);
    this.#node?.disconnect();
    this.#context.close();
  }
}
