// The open poll, or the last one until the room drops it, with a bar for each option.
import { button, make, secondsTo } from './dom.js';
import { number, t } from './i18n.js';

export class Poll {
  #room;
  #region = document.querySelector('section.poll');
  #poll = null;
  #votes = null;
  #options = [];

  constructor(room) {
    this.#room = room;
  }

  stage({ poll }) {
    const same = poll && this.#poll && poll.poll === this.#poll.poll && poll.open === this.#poll.open;
    this.#poll = poll;
    if (!same) this.#render();
    this.#update();
  }

  pulse({ poll }) {
    this.#votes = poll;
    this.#update();
  }

  identity() {
    this.#render();
    this.#update();
  }

  get #own() {
    const vote = this.#room.identity?.vote;
    return vote && vote.poll === this.#poll?.poll ? vote.option : null;
  }

  #render() {
    this.#region.hidden = !this.#poll;
    if (!this.#poll) return this.#region.replaceChildren();
    const { poll, question, options, open, changeable, who } = this.#poll;
    this.#options = options.map((option, at) => {
      const element = button('', () => this.#room.attempt(this.#room.player.vote(poll, at)), { className: 'option' });
      element.append(
        make('span', { className: 'bar', ariaHidden: 'true' }), make('span', { text: option, ariaHidden: 'true' }),
        make('b', { ariaHidden: 'true' }),
      );
      return element;
    });
    const close = this.#room.keepsOrder && open
      ? [button(t('poll.close'), () => this.#room.attempt(this.#room.player.moderate({ closePoll: poll })), { className: 'close' })]
      : [];
    this.#region.replaceChildren(
      make('h2', { text: question }), make('div', { className: 'options', role: 'group' }, this.#options),
      make('p', { className: 'about-poll' }, [
        make('span', { className: 'total' }), make('span', { className: 'ends' }),
        make('span', { text: changeable ? t('poll.changeable') : t('poll.final') }), ...close,
      ]),
      make('p', { className: 'who', text: this.#who(who) }), make('p', { className: 'strangers', hidden: true }),
    );
  }

  // The fans who may vote, and what a reader who may not can do about it.
  #who(who) {
    if (who === 'named') return this.#isLeftOut ? t('poll.named.token') : t('poll.named');
    return who === 'address' ? t('poll.address') : '';
  }

  get #isLeftOut() {
    return this.#poll.who === 'named' && this.#room.isStranger;
  }

  #update() {
    if (!this.#poll) return;
    const { poll, options, open, changeable } = this.#poll;
    const votes = this.#votes?.poll === poll ? this.#votes.votes : [];
    const all = votes.reduce((sum, count) => sum + count, 0);
    const own = this.#own;
    for (const [at, element] of this.#options.entries()) {
      const count = votes[at] ?? 0;
      const percent = all ? Math.round((count / all) * 100) : 0;
      element.querySelector('.bar').style.width = `${percent}%`;
      element.querySelector('b').textContent = `${number(count)} · ${percent} %`;
      element.setAttribute('aria-label', t('poll.option', { option: options[at], votes: count, percent }));
      element.setAttribute('aria-pressed', own === at);
      element.disabled = !open || this.#isLeftOut || (own !== null && !changeable);
    }
    this.#region.querySelector('.total').textContent = t('poll.votes', { count: all });
    this.#strangers(all);
    this.second();
  }

  // Whoever opened the poll sees the part of fans who may be one person many times.
  #strangers(all) {
    const line = this.#region.querySelector('.strangers');
    const votes = this.#votes?.poll === this.#poll.poll ? (this.#votes.strangers ?? []) : [];
    const count = votes.reduce((sum, votes) => sum + votes, 0);
    line.hidden = !this.#room.keepsOrder || !count;
    const each = votes.map((votes, at) => `${this.#poll.options[at]}: ${number(votes)}`).join(' · ');
    line.textContent = t('poll.strangers', { count, percent: all ? Math.round((count / all) * 100) : 0, each });
  }

  second() {
    const ends = this.#region.querySelector('.ends');
    if (!ends) return;
    const seconds = secondsTo(this.#poll.closes);
    const left = seconds < 100 ? t('poll.ends', { seconds }) : t('poll.ends.minutes', { minutes: Math.round(seconds / 60) });
    ends.textContent = this.#poll.open ? left : t('poll.closed');
  }
}
