// What the platform calls: requests go to the Wasm module, and so does what comes to a room's object.
//
// A panic ends the module, and with it the memory of every object of the isolate. So the module starts over, and each
// object is made again of what it has kept, at the next thing that comes to it.
import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers';
import wasm from './fanfare-cloudflare_bg.wasm';
import * as rust from './fanfare-cloudflare.js';

rust.initSync({ module: wasm });
const state = rust.__worker_init_state();

const startOver = () => {
  if (!state.criticalError) return;
  console.error('the module has ended: starting over');
  rust.__wbg_reset_state();
  state.criticalError = false;
};

// An object of the module's, made again of the same context whenever the module is.
const object = (name) => class extends DurableObject {
  #life;
  #object;

  constructor(context, env) {
    super(context, env);
    this.now();
  }

  // The object in the module as it is now.
  now() {
    startOver();
    if (this.#life !== state.instanceId) {
      this.#object = new rust[name](this.ctx, this.env);
      this.#life = state.instanceId;
    }
    return this.#object;
  }

  fetch(request) {
    return this.now().fetch(request);
  }
};

export const Directory = object('Directory');

export class Stage extends object('Stage') {
  alarm() {
    return this.now().alarm();
  }

  webSocketMessage(socket, message) {
    const stage = this.now();
    const id = socket.deserializeAttachment();
    try {
      const known = typeof message === 'string' ? stage.text(id, message) : stage.message(id, new Uint8Array(message));
      // Its session was in memory that is gone.
      if (!known) socket.close(1012, 'the room starts over: come again');
    } catch (error) {
      // Whoever is here hears of it at once, and not when something comes the next time.
      this.now();
      throw error;
    }
  }

  webSocketClose(socket) {
    this.now().closed(socket.deserializeAttachment());
  }

  webSocketError(socket) {
    this.now().closed(socket.deserializeAttachment());
  }
}

export default class extends WorkerEntrypoint {
  fetch(request) {
    startOver();
    return rust.fetch(request, this.env, this.ctx);
  }
}
