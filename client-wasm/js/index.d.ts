/** The state of a player. */
export type PlayerState = 'connecting' | 'live' | 'offline' | 'reconnecting' | 'ended' | 'unsupported';

/** The addresses of a room, and how to play it. */
export interface PlayerOptions {
  /** The room's name. */
  room: string;
  /** The edge node's URL for WebTransport. */
  webtransport?: string;
  /** The edge node's URL for a WebSocket, for browsers without WebTransport. */
  websocket?: string;
  /** SHA-256 fingerprints of its certificates in hexadecimal, unless a public authority signed them. */
  fingerprints?: string[];
  /** Target delay behind the fastest arrivals in milliseconds, 0 to 5,000; 120 unless given. */
  latency?: number;
  /** A rendition by its name; without one, the best that the network carries. */
  rendition?: string | null;
  /** The fan's token. Without one, the edge issues an anonymous token, and the browser keeps it for that edge. */
  token?: string;
}

/** One rendition of the picture. */
export interface Rendition {
  name: string;
  label: string;
  width: number;
  height: number;
  /** Bits per second; 0 if unknown. */
  bitrate: number;
  codec: string;
}

/** Numbers about playback, updated twice a second. Times are in milliseconds, rates in bits per second. */
export interface PlayerStats {
  state: PlayerState;
  transport: 'WebTransport' | 'WebSocket' | null;
  /** Round-trip time to the edge node. */
  rtt: number | null;
  /** Time from capture to canvas, by the creator's clock and this one; null where the media has a clock of its own. */
  latency: number | null;
  /** The target delay. */
  target: number;
  /** The present delay: the target, or more if the network or the loudspeaker needs it. */
  delay: number;
  /** Length of the received media that is not due yet. */
  buffer: number;
  /** Lead of the audible sound over the picture. */
  sync: number | null;
  fps: number;
  frames: number;
  dropped: number;
  /** Number of times that a decoder failed and started over. */
  errors: number;
  bitrate: number;
  throughput: number | null;
  rendition: string | null;
  width: number;
  height: number;
  codec: string | null;
  firstFrame: number | null;
}

/** The role of a fan in a room. */
export type Role = 'fan' | 'moderator' | 'creator';

/** A fan's ID: 16 hexadecimal digits. */
export type FanId = string;

/** The identity of this page's fan. */
export interface Identity {
  fan: FanId;
  role: Role;
  /** Their present standing. */
  standing: 'clear' | 'timed-out' | 'banned';
  /** End of a timeout, in milliseconds since the UNIX epoch. */
  until: number | null;
  /** Their vote in the open poll. */
  vote: { poll: number; option: number } | null;
}

/** The way in which a line also crosses the picture. */
export interface Danmaku {
  /** 0 to 11, from the top; without one, any lane with room. */
  lane?: number | null;
  /** 0 to 15. */
  colour?: number;
  /** `large` is for moderators. */
  size?: 'small' | 'normal' | 'large';
}

/** A line of the chat. `text` and `name` are text, never markup. */
export interface Line {
  /** Its number: a later line has a higher one. */
  id: number;
  /** Milliseconds since the UNIX epoch. */
  at: number;
  fan: FanId;
  name: string;
  role: Role;
  text: string;
  /** The line it answers. */
  reply: number | null;
  mentions: FanId[];
  danmaku: Required<Danmaku> | null;
}

/** A gift of a fan, among the lines. */
export interface GiftGiven {
  id: number;
  at: number;
  fan: FanId;
  name: string;
  gift: number;
  count: number;
}

/** A change of the chat: new lines, each once, and deleted ones. */
export interface ChatChange {
  lines: Line[];
  gifts: GiftGiven[];
  deleted: number[];
}

/** The room's numbers, a few times a second. */
export interface Pulse {
  at: number;
  viewers: number;
  /** Different fans ever here, within 1 %. */
  uniques: number;
  says: number;
  /** By kind, without trailing zeros. */
  cheers: number[];
  gifts: { gift: number; count: number }[];
  /** Counts of the last ten seconds. */
  rates: { says: number; cheers: number; gifts: number; votes: number };
  /** `strangers`: the votes of fans without a token, among the votes; empty if the room does not count them apart. */
  poll: { poll: number; votes: number[]; strangers: number[]; open: boolean } | null;
  questions: { question: number; votes: number }[];
  topCheerers: { fan: FanId; name: string; amount: number }[];
  topGifters: { fan: FanId; name: string; amount: number }[];
  totalSeconds: number;
  watchedSeconds: number;
  activityPermille: number;
  interactionsPer1000Minutes: number;
  latencyP50Ms: number;
  latencyP99Ms: number;
}

/** The modes of a room. */
export interface Modes {
  /** Shortest time between two lines of a fan. */
  slowSeconds: number;
  followersOnly: boolean;
  emojiOnly: boolean;
  /** Every line waits for a moderator. */
  holdAll: boolean;
  links: 'allow' | 'hold' | 'reject';
}

/** A gift of the creator's catalogue. */
export interface Gift {
  id: number;
  name: string;
  icon: string;
  value: number;
}

/** The room's shown state. */
export interface Stage {
  title: string;
  pinned: Line | null;
  poll: {
    poll: number;
    question: string;
    options: string[];
    /** Milliseconds since the UNIX epoch. */
    closes: number;
    /** True if a vote can be changed. */
    changeable: boolean;
    who: Who;
    open: boolean;
  } | null;
  modes: Modes;
  gifts: Gift[];
  questions: { question: number; fan: FanId; name: string; text: string }[];
}

/**
 * The fans who may vote in a poll: all; of fans without a token one of each address at each edge, and all others; or fans with
 * a token only.
 */
export type Who = 'everyone' | 'address' | 'named';

/** The subject of a moderator's act: a fan, or the author of a line. */
export type Subject = { fan: FanId } | { author: number };

/** The acts of moderators; those marked "Creator" are the creator's only. A fan may delete a recent line of their own. */
export type Moderation =
  | { delete: number }
  | { pin: number }
  | 'unpin'
  | { timeout: { subject: Subject; seconds: number } }
  | { ban: Subject }
  | { shadowMute: Subject }
  | { pardon: Subject }
  | { approve: number }
  | { refuse: number }
  | { openPoll: { question: string; options: string[]; seconds: number; changeable?: boolean; who?: Who } }
  | { closePoll: number }
  | { answer: number }
  | { dismiss: number }
  /** Replaces all modes: a mode that is left out is off. */
  | { setModes: Partial<Modes> }
  /** Replaces all patterns; a line that matches one with `hold` waits for a moderator instead of being rejected. */
  | { setPatterns: { text: string; hold?: boolean }[] }
  /** Creator. */
  | { setTitle: string }
  /** Creator; replaces all gifts. */
  | { setGifts: Gift[] }
  /** Creator. */
  | { setRole: { subject: Subject; role: 'fan' | 'moderator' } };

/** The result of an act that was counted. */
export interface Settled {
  /** The number of the line that the act became, if it became one and the edge named it. */
  id: number | null;
  /** It waits for a moderator. */
  held: boolean;
}

/** The reason why an act was not counted. */
export type RoomErrorCode =
  /* The room refused it. */
  | 'unsupported' | 'empty' | 'too-long' | 'characters' | 'out-of-range' | 'too-fast' | 'slow-mode' | 'followers-only'
  | 'emoji-only' | 'repeated' | 'blocked' | 'links' | 'timed-out' | 'banned' | 'not-allowed' | 'not-found' | 'poll-closed'
  | 'already-voted' | 'address-voted' | 'already-counted' | 'busy'
  /* It never left this page. */
  | 'full' | 'too-large' | 'not-sent' | 'closed' | 'invalid'
  /* It was sent, and no answer came within ten minutes: it may have been counted. */
  | 'unknown';

/** The error that the promises of {@link Player} are rejected with. */
export class RoomError extends Error {
  readonly code: RoomErrorCode;
  /** The earliest time to try again, in milliseconds since the UNIX epoch. */
  readonly until?: number;
  /** The largest number of characters that a text may have. */
  readonly max?: number;
  /** The key of the gift: given again with it, the gift is counted once. */
  readonly key?: string;
}

/** The fan's own line: first `pending`, then settled, with `id` and `held`, or failed, with `error`. */
export interface Echo {
  ticket: number;
  text: string;
  reply: number | null;
  mentions: FanId[];
  danmaku: Danmaku | null;
  pending: boolean;
  id?: number | null;
  held?: boolean;
  error?: RoomError;
}

/** A line that is held for a moderator. */
export interface WaitingLine {
  id: number;
  at: number;
  fan: FanId;
  name: string;
  text: string;
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
  /** True if the edge runs rooms, false if it offers the media only. */
  interaction: CustomEvent<{ open: boolean }>;
  identity: CustomEvent<Identity>;
  chat: CustomEvent<ChatChange>;
  echo: CustomEvent<Echo>;
  pulse: CustomEvent<Pulse>;
  stage: CustomEvent<Stage>;
  /** For moderators: all lines that are held. */
  waiting: CustomEvent<WaitingLine[]>;
}

/** Plays a room onto a canvas, in a Worker. */
export class Player extends EventTarget {
  /** The canvas must not have been drawn on; it belongs to the player from then on. */
  constructor(canvas: HTMLCanvasElement, options: PlayerOptions);
  /** Returns the reason why this browser cannot play, or null. */
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
  /** Set it if the picture is shown outside the page, so that it plays on while the page is hidden. */
  set pinned(pinned: boolean);
  selectRendition(name: string | null): void;
  /** Makes sound if the browser allows it, as it does in answer to a click or a key; resolves to whether it does. */
  unmute(): Promise<boolean>;
  mute(): void;
  pause(): void;
  /** Plays on, live. */
  resume(): void;
  /** True if the edge runs rooms, false if it offers the media only, null until that is known. */
  readonly interaction: boolean | null;
  readonly identity: Identity | null;
  /** The last lines, 500 at most, in their order. */
  readonly lines: Line[];
  readonly pulse: Pulse | null;
  readonly stage: Stage | null;
  readonly waiting: WaitingLine[];
  // Each of these promises is resolved once the room has counted the act, or rejected with a RoomError. An unanswered act
  // is sent again over reconnects, for ten minutes, and counted once.
  say(text: string, options?: { reply?: number; mentions?: FanId[]; danmaku?: Danmaku | null }): Promise<Settled>;
  /** Cheers of a moment go out as one. `kind` is 0 to 15, `count` 1 to 100. */
  cheer(kind?: number, count?: number): Promise<Settled>;
  /** `key`, from an error `unknown`, repeats that gift: it is counted once. */
  gift(id: number, count?: number, options?: { key?: string }): Promise<Settled>;
  vote(poll: number, option: number): Promise<Settled>;
  ask(text: string): Promise<Settled>;
  upvote(question: number): Promise<Settled>;
  /** For fans whose token does not name them. */
  rename(name: string): Promise<Settled>;
  moderate(act: Moderation): Promise<Settled>;
  /** Connects at once instead of after the pause. */
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
 * otherwise be asked for. `latency` in milliseconds, `token` (who the fan is), `muted` and `controls` are as one would expect. Its events are those
 * of {@link Player}; what it contains is shown over the picture.
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
