// A bare player with its measurements, as window.test.
import { Player } from '/client/player.js';
import * as measure from '/test/measure.js';

// The longest wait for an event, in milliseconds.
const PATIENCE = 60_000;

const canvas = document.querySelector('canvas');
const edge = await (await fetch('/api/edge')).json();
const query = new URLSearchParams(location.search);
const latency = query.has('latency') ? Number(query.get('latency')) : undefined;
const begun = performance.timeOrigin + performance.now();
// The query's `lag` simulates slow loudspeakers, and `skew` a page whose clock differs from its Worker's: milliseconds.
const lag = Number(query.get('lag') ?? 0) / 1e3;
const { getOutputTimestamp } = AudioContext.prototype;
AudioContext.prototype.getOutputTimestamp = function () {
  const { contextTime, performanceTime } = getOutputTimestamp.call(this);
  return { contextTime: contextTime - lag, performanceTime };
};
const timeOrigin = performance.timeOrigin + Number(query.get('skew') ?? 0);
Object.defineProperty(performance, 'timeOrigin', { value: timeOrigin });
const token = query.get('token') ?? undefined;
const player = new Player(canvas, { room: query.get('room') ?? 'friday-night', latency, token, ...edge });
const errors = [];
const states = [];
player.addEventListener('decodeerror', ({ detail }) => errors.push(detail));
player.addEventListener('statechange', ({ detail: { state, reason } }) => states.push(`${state} ${reason}`.trim()));
const first = new Promise((resolve) => player.addEventListener('firstframe', ({ detail }) => resolve(detail - begun), { once: true }));

// Waits for an event of the player for whose details `wanted` holds. After a minute, fails with the last details.
const until = (name, wanted) =>
  new Promise((resolve, reject) => {
    const seen = [];
    const over = (settle, value) => {
      clearTimeout(patience);
      player.removeEventListener(name, heard);
      settle(value);
    };
    const heard = ({ detail }) => {
      if (wanted(detail)) over(resolve, detail);
      else seen.push(JSON.stringify(detail));
    };
    const patience = setTimeout(() => {
      const last = seen.slice(-5).join('\n');
      over(reject, new Error(`of ${seen.length} times ${name}, none was like ${wanted}; the last:\n${last}`));
    }, PATIENCE);
    player.addEventListener(name, heard);
  });

const stats = () => until('stats', () => true);
const state = (wanted) => (player.state === wanted ? Promise.resolve() : until('statechange', ({ state }) => state === wanted));

globalThis.test = { player, canvas, errors, states, first, until, stats, state, ...measure };
