// The simplest possible room on Cloudflare, to measure ours against: every message goes to all, at once or, with TICK_MS,
// with the others of that time. Senders have no identity; nothing is checked, counted or kept.
import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers';

export class Stage extends DurableObject {
  #lines = [];

  fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(_, message) {
    // Binary messages are media: they go out at once.
    if (typeof message !== 'string') return this.#send(message);
    const { name, text } = JSON.parse(message);
    const line = { at: Date.now(), name, text };
    if (!this.env.TICK_MS) return this.#send(JSON.stringify([line]));
    if (this.#lines.push(line) === 1) {
      setTimeout(() => this.#send(JSON.stringify(this.#lines.splice(0))), this.env.TICK_MS);
    }
  }

  #send(message) {
    for (const fan of this.ctx.getWebSockets()) fan.send(message);
  }
}

export default class extends WorkerEntrypoint {
  fetch(request) {
    const room = new URL(request.url).searchParams.get('room');
    return this.env.ROOMS.getByName(room).fetch(request);
  }
}
