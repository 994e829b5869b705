// Sets up <moq-watch> by its documentation, as window.watch.
const query = new URLSearchParams(location.search);

// All writes to streams, in hexadecimal.
const sent = [];
const write = WritableStreamDefaultWriter.prototype.write;
WritableStreamDefaultWriter.prototype.write = function (chunk) {
  if (chunk instanceof Uint8Array) sent.push(Array.from(chunk, (byte) => byte.toString(16).padStart(2, '0')).join(''));
  return write.call(this, chunk);
};

await import(`/peers/${query.get('bundle')}.js`);

const edge = await (await fetch('/api/edge')).json();
const player = document.createElement('moq-watch');
const canvas = document.createElement('canvas');
const hash = (fingerprint) => ({ algorithm: 'sha-256', value: fingerprint });
player.connection.webtransport = { serverCertificateHashes: edge.fingerprints.map(hash) };
player.connection.websocket = { enabled: false };
player.setAttribute('url', edge.webtransport);
player.setAttribute('name', query.get('room'));
player.setAttribute('catalog-format', query.get('catalog'));
player.append(canvas);
document.body.append(player);

// The canvas, scaled down to a few pixels; empty before it has a size.
const small = new OffscreenCanvas(32, 18).getContext('2d', { willReadFrequently: true });
const look = () => {
  if (canvas.width === 0 || canvas.height === 0) return '';
  small.drawImage(canvas, 0, 0, 32, 18);
  return small.getImageData(0, 0, 32, 18).data.join();
};

globalThis.watch = {
  player,
  canvas,
  sent,
  version: () => player.connection.established.peek()?.version,
  state: () => ({
    connection: player.connection.status.peek(),
    broadcast: player.broadcast.out.status.peek(),
    catalog: player.broadcast.out.catalog.peek(),
    video: player.video.out.stats.peek(),
    audio: player.audio.out.stats.peek(),
    size: [canvas.width, canvas.height],
  }),
  // Waits until `wanted` returns a value; fails after `seconds`.
  until: (wanted, seconds) =>
    new Promise((resolve, reject) => {
      const end = performance.now() + 1000 * seconds;
      const next = () => {
        const value = wanted();
        if (value) resolve(value);
        else if (performance.now() > end) reject(new Error(`${wanted} is not so; ${JSON.stringify(watch.state())}`));
        else requestAnimationFrame(next);
      };
      next();
    }),
  // Waits until the canvas has shown `wanted` different pictures; fails after `seconds`.
  pictures: (wanted, seconds) => {
    // The empty canvas counts as one, and is not a picture.
    const seen = new Set([look()]);
    return watch.until(() => seen.add(look()).size > wanted && seen.size - 1, seconds);
  },
};
