// The fan's token for an edge, which the edge issued and the browser keeps.

const key = (edge) => `fanfare.token.${edge}`;

// Returns the host of an edge's address.
export function edgeOf({ webtransport, websocket }) {
  const url = webtransport ?? websocket;
  return url ? new URL(url, location.href).host : '';
}

// Returns the token that is kept for an edge, unless it has expired.
export function recall(edge) {
  try {
    const token = localStorage.getItem(key(edge));
    const [, payload] = token?.split('.') ?? [];
    const { exp } = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return exp === undefined || exp * 1e3 > Date.now() ? token : undefined;
  } catch {
    // No token is kept, or the browser does not allow storage.
    return undefined;
  }
}

export function keep(edge, token) {
  try {
    localStorage.setItem(key(edge), token);
  } catch {
    // In a private window nothing is stored: the fan gets another identity next time.
  }
}
