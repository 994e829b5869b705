// A bare player, and what measures it: window.test.
import { Player } from '/client/player.js';
import * as measure from '/test/measure.js';

const canvas = document.querySelector('canvas');
const edge = await (await fetch('/api/edge')).json();
const query = new URLSearchParams(location.search);
const latency = query.has('latency') ? Number(query.get('latency')) : undefined;
const begun = performance.timeOrigin + performance.now();
const token = query.get('token') ?? undefined;
const player = new Player(canvas, { room: query.get('room') ?? 'friday-night', latency, token, ...edge });
const errors = [];
const states = [];
player.addEventListener('decodeerror', ({ detail }) => errors.push(detail));
player.addEventListener('statechange', ({ detail: { state, reason } }) => states.push(`${state} ${reason}`.trim()));
const first = new Promise((resolve) => player.addEventListener('firstframe', ({ detail }) => resolve(detail - begun), { once: true }));

// Waits for an event of the player's whose details are as they should be.
const until = (name, wanted) =>
  new Promise((resolve) => {
    const heard = ({ detail }) => {
      if (!wanted(detail)) return;
      player.removeEventListener(name, heard);
      resolve(detail);
    };
    player.addEventListener(name, heard);
  });

const stats = () => until('stats', () => true);
const state = (wanted) => (player.state === wanted ? Promise.resolve() : until('statechange', ({ state }) => state === wanted));

globalThis.test = { player, canvas, errors, states, first, until, stats, state, ...measure };
