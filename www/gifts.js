// Buttons for cheers and gifts, each with its count so far.
import { button, make } from './dom.js';
import { errorText } from './error_text.js';
import { number, t } from './i18n.js';

const CHEERS = ['❤️', '👏', '🔥', '😂', '😮', '🎉'];

export class Gifts {
  #room;
  #cheers;
  #offers = '';

  constructor(room) {
    this.#room = room;
    this.#cheers = CHEERS.map((symbol, kind) => this.#button(symbol, (entry) => this.#cheer(kind, entry)));
    document.querySelector('.cheers').replaceChildren(...this.#cheers);
    this.#count([]);
  }

  #button(symbol, act) {
    const entry = button('', () => act(entry), { className: 'give-one' });
    entry.append(make('span', { className: 'symbol', text: symbol, ariaHidden: 'true' }), make('b', { ariaHidden: 'true' }));
    return entry;
  }

  #cheer(kind, entry) {
    const symbol = entry.querySelector('.symbol');
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) {
      symbol.animate([{ transform: 'scale(1)' }, { transform: 'scale(1.5) rotate(-8deg)' }, { transform: 'scale(1)' }], 260);
    }
    this.#room.attempt(this.#room.player.cheer(kind, 1));
  }

  #count(cheers) {
    for (const [kind, entry] of this.#cheers.entries()) {
      const count = cheers[kind] ?? 0;
      entry.querySelector('b').textContent = number(count);
      entry.setAttribute('aria-label', t('cheers.one', { symbol: CHEERS[kind], count }));
    }
  }

  pulse({ cheers, gifts }) {
    this.#count(cheers);
    for (const entry of document.querySelectorAll('.gifts button')) {
      const { id, name, value } = entry.offer;
      const count = gifts.find(({ gift }) => gift === id)?.count ?? 0;
      entry.querySelector('b').textContent = number(count);
      entry.setAttribute('aria-label', t('gifts.one', { name, value, count }));
    }
  }

  stage({ gifts }) {
    const offers = JSON.stringify(gifts);
    if (offers === this.#offers) return;
    this.#offers = offers;
    const entries = gifts.map((offer) => {
      const entry = this.#button(offer.icon, () => this.#give(offer));
      entry.offer = offer;
      entry.append(make('small', { text: `${offer.name} · ${number(offer.value)}` }));
      return entry;
    });
    document.querySelector('.gifts').replaceChildren(...entries);
    this.pulse(this.#room.pulse ?? { cheers: [], gifts: [] });
  }

  // `key` repeats a gift whose answer never came: given again with it, the gift is counted once.
  async #give(offer, key) {
    try {
      await this.#room.player.gift(offer.id, 1, { key });
      this.#room.say(t('gifts.thanks', { icon: offer.icon, gift: offer.name }));
    } catch (error) {
      const uncertain = error.code === 'unknown';
      const again = uncertain ? button(t('gifts.again'), () => this.#give(offer, error.key)) : null;
      this.#room.say(uncertain ? t('gifts.unknown') : errorText(error), again);
    }
  }
}
