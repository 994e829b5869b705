// The page's side of a room: a promise for each act, and the room's present state.

// Largest number of lines that are kept.
const LINES = 500;

// The reason why an act was not counted. `code` is for programs, `message` for people; `until`, in milliseconds since
// the UNIX epoch, is the earliest time to try again, `max` the longest text allowed, `key` the key of a gift.
export class RoomError extends Error {
  constructor({ code, message, until, max }, key) {
    super(message);
    this.name = 'RoomError';
    this.code = code;
    if (until !== undefined) this.until = until;
    if (max !== undefined) this.max = max;
    if (key !== undefined) this.key = key;
  }
}

// Returns 64 random bits as hexadecimal text.
export function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export class Talk {
  #send;
  #emit;
  #ticket = 0;
  #pending = new Map();

  // True if the edge runs rooms, false if it offers the media only, null until that is known.
  open = null;
  identity = null;
  lines = [];
  pulse = null;
  stage = null;
  // Lines that are held for a moderator.
  waiting = [];

  constructor(send, emit) {
    this.#send = send;
    this.#emit = emit;
  }

  // Sends an act. The promise is resolved once the room has counted it, and rejected if it has not.
  ask(act, { echo, key } = {}) {
    return new Promise((resolve, reject) => {
      const ticket = (this.#ticket = (this.#ticket % 0xffff_ffff) + 1);
      this.#pending.set(ticket, { resolve, reject, echo, key });
      if (echo) this.#emit('echo', { ticket, ...echo, pending: true });
      this.#send('act', { ticket, json: JSON.stringify(act) });
    });
  }

  // Handles an event of the Worker; returns false if it is not one of the room's.
  receive(what, json) {
    const handler = this[`on${what}`];
    if (!handler) return false;
    handler.call(this, JSON.parse(json));
    return true;
  }

  // Settles what is pending: no answers come after this.
  close() {
    for (const ticket of [...this.#pending.keys()]) {
      this.onsettled({ ticket, held: false, error: { code: 'unknown', message: 'the player was closed: it may have been counted' } });
    }
  }

  onsettled({ ticket, id, held, error }) {
    const pending = this.#pending.get(ticket);
    if (!pending) return;
    this.#pending.delete(ticket);
    const failure = error && new RoomError(error, pending.key);
    if (pending.echo) {
      const how = failure ? { error: failure } : { id: id ?? null, held };
      this.#emit('echo', { ticket, ...pending.echo, pending: false, ...how });
    }
    if (failure) pending.reject(failure);
    else pending.resolve({ id: id ?? null, held });
  }

  oninteraction(open) {
    this.open = open;
    this.#emit('interaction', { open });
  }

  onidentity(identity) {
    if (identity.role === 'fan') this.waiting = [];
    this.identity = identity;
    this.#emit('identity', identity);
  }

  onchat(change) {
    const gone = new Set(change.deleted);
    this.lines = [...this.lines.filter(({ id }) => !gone.has(id)), ...change.lines];
    this.lines.sort((one, other) => one.id - other.id);
    this.lines.splice(0, this.lines.length - LINES);
    this.#emit('chat', change);
  }

  onpulse(pulse) {
    this.pulse = pulse;
    this.#emit('pulse', pulse);
  }

  onstage(stage) {
    this.stage = stage;
    this.#emit('stage', stage);
  }

  onwaiting(line) {
    this.waiting = [...this.waiting.filter(({ id }) => id !== line.id), line];
    this.#emit('waiting', this.waiting);
  }

  onreviewed(line) {
    this.waiting = this.waiting.filter(({ id }) => id !== line);
    this.#emit('waiting', this.waiting);
  }
}
