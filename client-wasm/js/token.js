// Who a fan is to an edge: a token that the edge gave, kept by the browser.

const key = (edge) => `fanfare.token.${edge}`;

// The edge that an address is of.
export function edgeOf({ webtransport, websocket }) {
  const url = webtransport ?? websocket;
  return url ? new URL(url, location.href).host : '';
}

// What was kept for it, unless it is over.
export function recall(edge) {
  try {
    const token = localStorage.getItem(key(edge));
    const [, payload] = token?.split('.') ?? [];
    const { exp } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return exp === undefined || exp * 1e3 > Date.now() ? token : undefined;
  } catch {
    // Nothing is kept, or nothing may be.
    return undefined;
  }
}

export function keep(edge, token) {
  try {
    localStorage.setItem(key(edge), token);
  } catch {
    // A private window: the fan is somebody else next time.
  }
}
