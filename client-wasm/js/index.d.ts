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
  /** Who the fan is. Without one, an edge gives them a name of its own, and the browser keeps it for that edge. */
  token?: string;
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
  /** and what the network, and a slow loudspeaker, make of it. */
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

/** What somebody may do. */
export type Role = 'fan' | 'moderator' | 'creator';

/** Who somebody is: 16 hexadecimal digits. */
export type FanId = string;

/** Who the fan in front of this page is. */
export interface Identity {
  fan: FanId;
  role: Role;
  /** What they may do at the moment. */
  standing: 'clear' | 'timed-out' | 'banned';
  /** When a timeout ends, in milliseconds since the UNIX epoch. */
  until: number | null;
  /** Their vote in the open poll. */
  vote: { poll: number; option: number } | null;
}

/** How a line crosses the picture, too. */
export interface Danmaku {
  /** 0 to 11, from the top; none for wherever there is room. */
  lane?: number | null;
  /** 0 to 15. */
  colour?: number;
  /** `large` is for moderators. */
  size?: 'small' | 'normal' | 'large';
}

/** A line of the chat. `text` and `name` are text, never markup. */
export interface Line {
  /** Its place: a later line has a higher one. */
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

/** A gift that somebody gave, among the lines. */
export interface GiftGiven {
  id: number;
  at: number;
  fan: FanId;
  name: string;
  gift: number;
  count: number;
}

/** What is new in the chat: each line once, and those that were taken back. */
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
  /** In the last ten seconds. */
  rates: { says: number; cheers: number; gifts: number; votes: number };
  poll: { poll: number; votes: number[]; open: boolean } | null;
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

/** How a room is run. */
export interface Modes {
  /** Between two lines of a fan. */
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

/** What is on. */
export interface Stage {
  title: string;
  pinned: Line | null;
  poll: {
    poll: number;
    question: string;
    options: string[];
    /** Milliseconds since the UNIX epoch. */
    closes: number;
    /** Whether a vote can be changed. */
    changeable: boolean;
    open: boolean;
  } | null;
  modes: Modes;
  gifts: Gift[];
  questions: { question: number; fan: FanId; name: string; text: string }[];
}

/** Whom a moderator's act is about: a fan, or who wrote that line. */
export type Subject = { fan: FanId } | { author: number };

/** What moderators may do, and where it says so only the creator. A fan may delete a recent line of their own. */
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
  | { openPoll: { question: string; options: string[]; seconds: number; changeable?: boolean } }
  | { closePoll: number }
  | { answer: number }
  | { dismiss: number }
  /** In place of those before: what is left out is off. */
  | { setModes: Partial<Modes> }
  /** In place of those before; `hold` has lines wait for a moderator rather than be rejected. */
  | { setPatterns: { text: string; hold?: boolean }[] }
  /** Creator. */
  | { setTitle: string }
  /** Creator; in place of those before. */
  | { setGifts: Gift[] }
  /** Creator. */
  | { setRole: { subject: Subject; role: 'fan' | 'moderator' } };

/** What became of something that was counted. */
export interface Settled {
  /** The line that it is, if it is one and that is known. */
  id: number | null;
  /** It waits for a moderator. */
  held: boolean;
}

/** Why something was not counted. */
export type RoomErrorCode =
  /* The room did not take it. */
  | 'unsupported' | 'empty' | 'too-long' | 'characters' | 'out-of-range' | 'too-fast' | 'slow-mode' | 'followers-only'
  | 'emoji-only' | 'repeated' | 'blocked' | 'links' | 'timed-out' | 'banned' | 'not-allowed' | 'not-found' | 'poll-closed'
  | 'already-voted' | 'already-counted' | 'busy'
  /* It never left this page. */
  | 'full' | 'too-large' | 'not-sent' | 'closed' | 'invalid'
  /* It was sent, and no answer came within ten minutes: it may have been counted. */
  | 'unknown';

/** What the promises of {@link Player} are rejected with. */
export class RoomError extends Error {
  readonly code: RoomErrorCode;
  /** When it may be tried again, in milliseconds since the UNIX epoch. */
  readonly until?: number;
  /** How many characters a text may have. */
  readonly max?: number;
  /** That of the gift: given again with it, it is the same one. */
  readonly key?: string;
}

/** A line of one's own: first `pending`, then settled, with `id` and `held`, or failed, with `error`. */
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

/** A line that waits for a moderator. */
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
  /** Whether one may take part here, or there is the stage alone. */
  interaction: CustomEvent<{ open: boolean }>;
  identity: CustomEvent<Identity>;
  chat: CustomEvent<ChatChange>;
  echo: CustomEvent<Echo>;
  pulse: CustomEvent<Pulse>;
  stage: CustomEvent<Stage>;
  /** For moderators: all lines that wait for one. */
  waiting: CustomEvent<WaitingLine[]>;
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
  /** Whether one may take part here; null until that is known. */
  readonly interaction: boolean | null;
  readonly identity: Identity | null;
  /** The last lines, 500 at most, in their order. */
  readonly lines: Line[];
  readonly pulse: Pulse | null;
  readonly stage: Stage | null;
  readonly waiting: WaitingLine[];
  // Each of these promises is settled once the room has counted it, or rejected with a RoomError. What is not answered is
  // sent again over reconnects, for ten minutes, and counted once.
  say(text: string, options?: { reply?: number; mentions?: FanId[]; danmaku?: Danmaku | null }): Promise<Settled>;
  /** Cheers of a moment go out as one. `kind` is 0 to 15, `count` 1 to 100. */
  cheer(kind?: number, count?: number): Promise<Settled>;
  /** `key`, as of an error `unknown`, makes it the same gift as before. */
  gift(id: number, count?: number, options?: { key?: string }): Promise<Settled>;
  vote(poll: number, option: number): Promise<Settled>;
  ask(text: string): Promise<Settled>;
  upvote(question: number): Promise<Settled>;
  /** For fans whose token does not name them. */
  rename(name: string): Promise<Settled>;
  moderate(act: Moderation): Promise<Settled>;
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
