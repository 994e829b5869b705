// The entry points that the platform calls. They pass requests and WebSocket events on to the Wasm module.
//
// A panic ends the module, and with it the memory of every object in the isolate. The module is then started again, and
// each object is restored from its storage at the next event for it.
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

// Returns a Durable Object class around the module's class of that name. Its instance is created again, in the same
// context, whenever the module has been restarted.
const object = (name) => class extends DurableObject {
  #life;
  #object;

  constructor(context, env) {
    super(context, env);
    this.now();
  }

  // Returns the instance in the current module.
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
    const object = this.now();
    const id = socket.deserializeAttachment();
    try {
      const known = typeof message === 'string' ? object.text(id, message) : object.message(id, new Uint8Array(message));
      // The session was lost with the module's memory.
      if (!known) socket.close(1012, 'the room starts over: come again');
    } catch (error) {
      // Restart at once, so that all clients of the object are disconnected now and not at the next event.
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
