// Announces new lines to screen readers, at a pace that a listener can follow.
import { t } from './i18n.js';

const EVERY_MS = 4_000;
const LINES = 2;

export class Announcer {
  #region;
  #lines = [];
  #pausing = false;

  constructor(element) {
    this.#region = element;
  }

  say(lines) {
    this.#lines.push(...lines);
    if (this.#lines.length && !this.#pausing) this.#next();
  }

  #next() {
    const lines = this.#lines.splice(0);
    this.#region.textContent = lines.length > LINES ? t('announce.many', { count: lines.length }) : lines.join(' ');
    this.#pausing = true;
    setTimeout(() => {
      this.#pausing = false;
      if (this.#lines.length) this.#next();
    }, EVERY_MS);
  }
}
