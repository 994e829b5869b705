// Answers /?seed=N&ticks=N with the result of that rehearsal, and /?step=NAME with what a room at its bounds takes.
import wasm from './fanfare-rehearsal_bg.wasm';
import { FullRoom, initSync, rehearse } from './fanfare-rehearsal.js';

const { memory } = initSync({ module: wasm });

let room = null;
// As it is read from the object's storage.
let snapshot = new Uint8Array();

// Requests of their own, in this order: the clock stands still in each.
const steps = {
  fill() {
    room = FullRoom.fill();
  },
  snapshot() {
    snapshot = room.snapshot();
  },
  restore() {
    room.free();
    room = FullRoom.restore(snapshot);
  },
  compare() {
    const again = room.snapshot();
    return again.length === snapshot.length && again.every((byte, at) => byte === snapshot[at]);
  },
};

export default {
  fetch(request) {
    const { searchParams: asked } = new URL(request.url);
    const step = asked.get('step');
    if (!step) return new Response(rehearse(Number(asked.get('seed')), Number(asked.get('ticks'))));
    const same = steps[step]() ?? true;
    const text = JSON.stringify({ same, memory: memory.buffer.byteLength, snapshot: snapshot.length });
    return new Response(text);
  },
};
