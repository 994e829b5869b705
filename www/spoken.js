// New lines for who listens to the page: read at a pace that one can follow.
import { t } from './words.js';

const EVERY_MS = 4_000;
const LINES = 2;

export class Spoken {
  #place;
  #lines = [];
  #pausing = false;

  constructor(place) {
    this.#place = place;
  }

  say(lines) {
    this.#lines.push(...lines);
    if (this.#lines.length && !this.#pausing) this.#next();
  }

  #next() {
    const lines = this.#lines.splice(0);
    this.#place.textContent = lines.length > LINES ? t('spoken.many', { count: lines.length }) : lines.join(' ');
    this.#pausing = true;
    setTimeout(() => {
      this.#pausing = false;
      if (this.#lines.length) this.#next();
    }, EVERY_MS);
  }
}
