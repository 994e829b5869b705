// Choices that the browser keeps. In a frame of another site it may allow no storage: then nothing is kept.

export function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // The choice is good until the page is closed.
  }
}
