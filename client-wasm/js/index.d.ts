/** How a player is doing. */
export type PlayerState = 'connecting' | 'live' | 'offline' | 'reconnecting' | 'ended' | 'unsupported';

/** Where a stage is, and how to watch it. */
export interface PlayerOptions {
  /** The room. */
  room: string;
  /** The edge node's URL for WebTransport. */
  webtransport?: string;
  /** The edge node's URL for a WebSocket, for browsers without WebTransport. */
  websocket?: string;
  /** SHA-256 fingerprints of its certificates in hexadecimal, unless a public authority signed them. */
  fingerprints?: string[];
  /** Delay behind the fastest arrivals in milliseconds, 0 to 5,000; 120 unless given. */
  latency?: number;
  /** A rendition by its name; none for whichever is best. */
  rendition?: string | null;
}

/** One rendition of the picture. */
export interface Rendition {
  name: string;
  label: string;
  width: number;
  height: number;
  /** Bits a second; 0 if that is not known. */
  bitrate: number;
  codec: string;
}

/** How it goes, brought up to date twice a second. Times are in milliseconds, rates in bits a second. */
export interface PlayerStats {
  state: PlayerState;
  transport: 'WebTransport' | 'WebSocket' | null;
  /** To the edge node and back. */
  rtt: number | null;
  /** From capture to canvas, by the creator's clock and this one; null where the media has a clock of its own. */
  latency: number | null;
  /** The delay aimed at, */
  target: number;
  /** and what the network makes of it. */
  delay: number;
  /** How much is there that is not due yet. */
  buffer: number;
  /** How far what is heard is ahead of its time. */
  sync: number | null;
  fps: number;
  frames: number;
  dropped: number;
  /** Times a decoder failed and started over. */
  errors: number;
  bitrate: number;
  throughput: number | null;
  rendition: string | null;
  width: number;
  height: number;
  codec: string | null;
  firstFrame: number | null;
}

/** The events of a {@link Player}, all of them `CustomEvent`s. */
export interface PlayerEvents {
  statechange: CustomEvent<{ state: PlayerState; reason: string }>;
  stats: CustomEvent<PlayerStats>;
  renditionschange: CustomEvent<Rendition[]>;
  renditionchange: CustomEvent<string | null>;
  resize: CustomEvent<{ width: number; height: number }>;
  /** Milliseconds since the UNIX epoch. */
  firstframe: CustomEvent<number>;
  decodeerror: CustomEvent<string>;
  volumechange: CustomEvent<null>;
  pausechange: CustomEvent<null>;
}

/** Plays a room onto a canvas, in a Worker. */
export class Player extends EventTarget {
  /** The canvas must not have been drawn on; it belongs to the player from then on. */
  constructor(canvas: HTMLCanvasElement, options: PlayerOptions);
  /** What this browser lacks to play anything, or null. */
  static missing(): string | null;
  readonly state: PlayerState;
  readonly reason: string;
  readonly stats: PlayerStats | null;
  readonly renditions: Rendition[];
  readonly rendition: string | null;
  readonly selectedRendition: string | null;
  readonly size: { width: number; height: number } | null;
  readonly muted: boolean;
  readonly paused: boolean;
  /** The node that all sound goes through, once there is sound. */
  readonly audioNode: AudioNode | null;
  latency: number;
  volume: number;
  /** Whether it is shown elsewhere than on the page, and goes on while that is hidden. */
  set pinned(pinned: boolean);
  selectRendition(name: string | null): void;
  /** Makes sound if the browser lets it, which it does in answer to a click or a key: whether it does. */
  unmute(): Promise<boolean>;
  mute(): void;
  pause(): void;
  /** Goes on, live. */
  resume(): void;
  /** Tries at once what would be tried later. */
  reconnect(): void;
  close(): void;
  addEventListener<K extends keyof PlayerEvents>(
    type: K,
    listener: (event: PlayerEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/**
 * `<fanfare-player room="…" src="https://edge.example" controls>`. `src` is an edge node; this page's own server unless
 * given. `fingerprint` (one or more, separated by spaces), `webtransport` and `websocket` say what the node would
 * otherwise be asked for. `latency` in milliseconds, `muted` and `controls` are as one would expect. Its events are those
 * of {@link Player}.
 */
export class FanfarePlayer extends HTMLElement {
  readonly player: Player | null;
  readonly state: PlayerState;
  readonly stats: PlayerStats | null;
}

declare global {
  interface HTMLElementTagNameMap {
    'fanfare-player': FanfarePlayer;
  }
}
