// Cheers and gifts, with what was given so far.
import { button, make } from './dom.js';
import { explain } from './explain.js';
import { number, t } from './words.js';

const CHEERS = ['❤️', '👏', '🔥', '😂', '😮', '🎉'];

export class Gives {
  #room;
  #cheers;
  #offers = '';

  constructor(room) {
    this.#room = room;
    this.#cheers = CHEERS.map((symbol, kind) => this.#button(symbol, (place) => this.#cheer(kind, place)));
    document.querySelector('.cheers').replaceChildren(...this.#cheers);
    this.#count([]);
  }

  #button(symbol, act) {
    const place = button('', () => act(place), { className: 'give-one' });
    place.append(make('span', { className: 'symbol', text: symbol, ariaHidden: 'true' }), make('b', { ariaHidden: 'true' }));
    return place;
  }

  #cheer(kind, place) {
    const symbol = place.querySelector('.symbol');
    if (!matchMedia('(prefers-reduced-motion: reduce)').matches) {
      symbol.animate([{ transform: 'scale(1)' }, { transform: 'scale(1.5) rotate(-8deg)' }, { transform: 'scale(1)' }], 260);
    }
    this.#room.attempt(this.#room.player.cheer(kind, 1));
  }

  #count(cheers) {
    for (const [kind, place] of this.#cheers.entries()) {
      const count = cheers[kind] ?? 0;
      place.querySelector('b').textContent = number(count);
      place.setAttribute('aria-label', t('cheers.one', { symbol: CHEERS[kind], count }));
    }
  }

  pulse({ cheers, gifts }) {
    this.#count(cheers);
    for (const place of document.querySelectorAll('.gifts button')) {
      const { id, name, value } = place.offer;
      const count = gifts.find(({ gift }) => gift === id)?.count ?? 0;
      place.querySelector('b').textContent = number(count);
      place.setAttribute('aria-label', t('gifts.one', { name, value, count }));
    }
  }

  stage({ gifts }) {
    const offers = JSON.stringify(gifts);
    if (offers === this.#offers) return;
    this.#offers = offers;
    const places = gifts.map((offer) => {
      const place = this.#button(offer.icon, () => this.#give(offer));
      place.offer = offer;
      place.append(make('small', { text: `${offer.name} · ${number(offer.value)}` }));
      return place;
    });
    document.querySelector('.gifts').replaceChildren(...places);
    this.pulse(this.#room.pulse ?? { cheers: [], gifts: [] });
  }

  // `key` makes it the same gift as one whose answer never came.
  async #give(offer, key) {
    try {
      await this.#room.player.gift(offer.id, 1, { key });
      this.#room.say(t('gifts.thanks', { icon: offer.icon, gift: offer.name }));
    } catch (error) {
      const uncertain = error.code === 'unknown';
      const again = uncertain ? button(t('gifts.again'), () => this.#give(offer, error.key)) : null;
      this.#room.say(uncertain ? t('gifts.unknown') : explain(error), again);
    }
  }
}
