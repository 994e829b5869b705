// Answers /?seed=N&ticks=N with the result of that rehearsal.
import wasm from './fanfare-rehearsal_bg.wasm';
import { initSync, rehearse } from './fanfare-rehearsal.js';

initSync({ module: wasm });

export default {
  fetch(request) {
    const { searchParams: asked } = new URL(request.url);
    return new Response(rehearse(Number(asked.get('seed')), Number(asked.get('ticks'))));
  },
};
