// The Worker: runs the player, all but its sound output and controls.
import init, { Player } from './fanfare-client.js';

const ready = init();
let player;
let stats;

const acts = {
  play({ canvas, options }) {
    player = new Player(canvas, options, (what, details) => postMessage({ what, details }));
    stats = setInterval(() => postMessage({ what: 'stats', details: player.stats() }), 500);
  },
  latency: ({ ms }) => player.set_latency(ms),
  rendition: ({ name }) => player.set_rendition(name ?? undefined),
  visible: ({ visible }) => player.set_visible(visible),
  height: ({ pixels }) => player.set_height(pixels),
  audio: ({ link }) => player.set_audio(link),
  clock: ({ heard, at, latency, said }) => player.set_clock(heard, at, latency, said),
  act: ({ ticket, json }) => player.act(ticket, json),
  moved: () => player.moved(),
  presence: ({ visible, playing }) => player.set_presence(visible, playing),
  reconnect: () => player.reconnect(),
  close() {
    clearInterval(stats);
    player.close();
    // Leave time for the session's close to reach the server.
    setTimeout(() => close(), 100);
  },
};

onmessage = async ({ data }) => {
  try {
    await ready;
    acts[data.act](data);
  } catch (error) {
    postMessage({ what: 'failure', details: String(error?.message ?? error) });
  }
};
