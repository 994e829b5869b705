// The page's player: starts the Worker that plays a room, makes sound when the browser allows it, and emits events.
import { Sound } from './sound.js';
import { Talk, random } from './talk.js';
import { edgeOf, keep, recall } from './token.js';

export { RoomError } from './talk.js';

// Time after which a hidden page drops the picture, not the sound.
const HIDDEN_MS = 5_000;
// Shortest interval between reports that the fan is active.
const MOVED_MS = 1_000;

export class Player extends EventTarget {
  #worker;
  #canvas;
  #options;
  #sound;
  #starting;
  #format = [48_000, 2];
  #volume = 1;
  #muted = true;
  #paused = false;
  #pinned = false;
  #hidden;
  #observer;
  #stop = new AbortController();
  #talk = new Talk(
    (act, details) => this.#post(act, details),
    (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail })),
  );
  #moved = 0;

  state = 'connecting';
  reason = '';
  stats = null;
  renditions = [];
  rendition = null;
  size = null;

  // Returns the reason why this browser cannot play, or null.
  static missing() {
    if (!globalThis.isSecureContext) return 'A secure page (https) is needed to play live video.';
    if (typeof Worker !== 'function' || typeof WebAssembly !== 'object') return 'This browser has no WebAssembly.';
    if (typeof VideoDecoder !== 'function') return 'This browser cannot decode live video (WebCodecs).';
    if (!HTMLCanvasElement.prototype.transferControlToOffscreen) return 'This browser cannot draw video in the background.';
    return null;
  }

  constructor(canvas, options) {
    super();
    this.#canvas = canvas;
    this.#options = options;
    const missing = Player.missing();
    if (missing) {
      this.#setState('unsupported', missing);
      return;
    }
    this.#start();
  }

  #start() {
    const url = new URL('worker.js', import.meta.url).href;
    // A Worker can be started only from the page's own origin, and this script may come from another.
    const foreign = new URL(url).origin !== location.origin;
    const source = foreign
      ? URL.createObjectURL(new Blob([`import ${JSON.stringify(url)};`], { type: 'text/javascript' }))
      : url;
    this.#worker = new Worker(source, { type: 'module', name: 'fanfare' });
    this.#worker.onmessage = ({ data: { what, details } }) => this.#onMessage(what, details);
    this.#worker.onerror = (event) => this.#setState('unsupported', event.message || 'The player could not be loaded.');
    const offscreen = this.#canvas.transferControlToOffscreen();
    const { room, webtransport, websocket, fingerprints = [], latency, rendition } = this.#options;
    const token = this.#options.token || recall(edgeOf(this.#options));
    const options = { room, webtransport, websocket, fingerprints, latency, rendition, token, seed: random() };
    this.#worker.postMessage({ act: 'play', canvas: offscreen, options }, [offscreen]);

    const { signal } = this.#stop;
    document.addEventListener('visibilitychange', () => this.#watchVisibility(), { signal });
    for (const moved of ['pointermove', 'pointerdown', 'keydown', 'wheel', 'scroll', 'touchstart']) {
      document.addEventListener(moved, ({ timeStamp }) => this.#move(timeStamp), { signal, passive: true, capture: true });
    }
    addEventListener('online', () => this.reconnect(), { signal });
    this.#observer = new ResizeObserver(() => {
      const pixels = Math.round(this.#canvas.clientHeight * devicePixelRatio);
      this.#post('height', { pixels });
    });
    this.#observer.observe(this.#canvas);
  }

  #post(act, details, transfer = []) {
    this.#worker?.postMessage({ act, ...details }, transfer);
  }

  #setState(state, reason) {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new CustomEvent('statechange', { detail: { state, reason } }));
  }

  #onMessage(what, details) {
    const emit = (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail }));
    switch (what) {
      case 'state':
        return this.#setState(...details);
      case 'stats':
        this.stats = details;
        return emit('stats', details);
      case 'renditions':
        this.renditions = details;
        return emit('renditionschange', details);
      case 'rendition':
        this.rendition = details ?? null;
        return emit('renditionchange', this.rendition);
      case 'size':
        this.size = { width: details[0], height: details[1] };
        return emit('resize', this.size);
      case 'audio':
        this.#format = details;
        return emit('audio', details);
      case 'token':
        return this.#options.token || keep(edgeOf(this.#options), JSON.parse(details));
      case 'failure':
        return this.#setState('unsupported', details);
      default:
        return this.#talk.receive(what, details) || emit(what, details);
    }
  }

  #move(at) {
    if (at - this.#moved < MOVED_MS) return;
    this.#moved = at;
    this.#post('moved');
  }

  #watchVisibility() {
    clearTimeout(this.#hidden);
    this.#post('presence', { visible: !document.hidden, playing: !this.#paused });
    if (document.hidden && !this.#pinned) {
      this.#hidden = setTimeout(() => this.#showing(), HIDDEN_MS);
    } else {
      this.#showing();
    }
  }

  #showing() {
    const visible = !this.#paused && (this.#pinned || !document.hidden);
    this.#post('visible', { visible });
    this.#post('presence', { visible: !document.hidden, playing: !this.#paused });
  }

  // True if the edge runs rooms, false if it offers the media only, null until that is known.
  get interaction() {
    return this.#talk.open;
  }

  // The fan's present identity.
  get identity() {
    return this.#talk.identity;
  }

  // The last lines, in their order.
  get lines() {
    return this.#talk.lines;
  }

  // The room's present numbers and state.
  get pulse() {
    return this.#talk.pulse;
  }

  get stage() {
    return this.#talk.stage;
  }

  // Lines that are held for a moderator; empty for fans.
  get waiting() {
    return this.#talk.waiting;
  }

  // Each of these promises is resolved once the room has counted the act, or rejected with a RoomError.

  say(text, { reply, mentions = [], danmaku = null } = {}) {
    const say = { text: String(text), reply: reply ?? null, mentions, danmaku };
    return this.#talk.ask({ say }, { echo: say });
  }

  cheer(kind = 0, count = 1) {
    return this.#talk.ask({ cheer: { kind, count } });
  }

  // `key` is the key of a gift that may have been counted: given again with it, the gift is counted once.
  gift(id, count = 1, { key = random() } = {}) {
    return this.#talk.ask({ gift: { gift: id, count, key } }, { key });
  }

  vote(poll, option) {
    return this.#talk.ask({ vote: { poll, option } });
  }

  ask(text) {
    return this.#talk.ask({ ask: { text: String(text) } });
  }

  upvote(question) {
    return this.#talk.ask({ upvote: { question } });
  }

  rename(name) {
    return this.#talk.ask({ rename: { name: String(name) } });
  }

  moderate(act) {
    return this.#talk.ask({ moderate: act });
  }

  // Shown elsewhere than on the page, as in a picture-in-picture window: goes on while the page is hidden.
  set pinned(pinned) {
    this.#pinned = pinned;
    this.#watchVisibility();
  }

  // The target delay in milliseconds, 0 to 5,000.
  set latency(ms) {
    this.#options.latency = ms;
    this.#post('latency', { ms });
  }

  get latency() {
    return this.#options.latency ?? 120;
  }

  // Selects a rendition by its name; null for the best that the network carries.
  selectRendition(name) {
    this.#options.rendition = name;
    this.#post('rendition', { name });
  }

  get selectedRendition() {
    return this.#options.rendition ?? null;
  }

  get muted() {
    return this.#muted;
  }

  get volume() {
    return this.#volume;
  }

  set volume(volume) {
    this.#volume = Math.min(1, Math.max(0, volume));
    if (!this.#muted && this.#sound) this.#sound.volume = this.#volume;
    this.dispatchEvent(new CustomEvent('volumechange'));
  }

  // Makes sound if the browser allows it; resolves to whether it does. Call it in answer to a click or a key.
  async unmute() {
    if (!this.#worker) return false;
    this.#sound ??= new Sound(...this.#format);
    const sound = this.#sound;
    // Without a gesture, the browser lets this wait for one.
    await Promise.race([sound.resume(), new Promise((over) => setTimeout(over, 200))]);
    if (!sound.running) return false;
    this.#starting ??= sound.start().then(([link, transfer]) => {
      this.#post('audio', { link }, transfer);
      sound.onclock((clock) => this.#post('clock', clock));
    });
    await this.#starting;
    this.#muted = false;
    sound.volume = this.#volume;
    this.dispatchEvent(new CustomEvent('volumechange'));
    return true;
  }

  mute() {
    this.#muted = true;
    if (this.#sound) this.#sound.volume = 0;
    this.dispatchEvent(new CustomEvent('volumechange'));
  }

  // The node that all sound goes through, once there is sound.
  get audioNode() {
    return this.#sound?.output ?? null;
  }

  get paused() {
    return this.#paused;
  }

  pause() {
    this.#paused = true;
    if (this.#sound) this.#sound.volume = 0;
    this.#showing();
    this.dispatchEvent(new CustomEvent('pausechange'));
  }

  // Plays on, live.
  resume() {
    this.#paused = false;
    if (this.#sound && !this.#muted) this.#sound.volume = this.#volume;
    this.#showing();
    this.dispatchEvent(new CustomEvent('pausechange'));
  }

  // Connects at once instead of after the pause.
  reconnect() {
    this.#post('reconnect');
  }

  close() {
    this.#stop.abort();
    clearTimeout(this.#hidden);
    this.#observer?.disconnect();
    this.#sound?.close();
    this.#post('close');
    this.#worker = null;
    this.#talk.close();
  }
}
