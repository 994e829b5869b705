// The room beside the stage: chat, polls, questions and gifts, and the fan's own part in them.
import { Chat } from './chat.js';
import { Danmaku } from './danmaku.js';
import { errorText } from './error_text.js';
import { Gifts } from './gifts.js';
import { Poll } from './poll.js';
import { Questions } from './questions.js';
import { t } from './i18n.js';

const find = (selector) => document.querySelector(selector);

export class Room {
  #element;
  #embedded;
  #parts;
  #saying;

  // The fan's identity, the room's state and its numbers, as last received.
  identity = null;
  stage = null;
  pulse = null;

  // In a frame of another site, the room is its chat: gifts and votes are for the page whose address the fan sees.
  constructor(element, { embedded = false } = {}) {
    this.#element = element;
    this.#embedded = embedded;
    const parts = embedded ? [Chat, Danmaku] : [Chat, Danmaku, Gifts, Poll, Questions];
    this.#parts = parts.map((Part) => new Part(this));
    for (const name of ['identity', 'chat', 'echo', 'pulse', 'stage', 'waiting']) {
      element.addEventListener(name, ({ detail }) => {
        if (name in this) this[name] = detail;
        this.#parts.forEach((part) => part[name]?.(detail));
      });
    }
    element.addEventListener('interaction', ({ detail }) => this.#open(detail.open));
    element.addEventListener('pulse', ({ detail }) => {
      find('.viewers').hidden = false;
      find('.viewers').textContent = t('viewers', { count: detail.viewers });
    });
    if (embedded) find('#tab-questions').remove();
    // Countdowns are updated every second.
    setInterval(() => this.#parts.forEach((part) => part.second?.()), 1_000);
    this.#tabs();
  }

  // The present player: the element makes another when its attributes change.
  get player() {
    return this.#element.player;
  }

  // Adds a layer over the picture, which is there in full screen too.
  overlay(layer) {
    this.#element.append(layer);
  }

  get keepsOrder() {
    return !this.#embedded && ['moderator', 'creator'].includes(this.identity?.role);
  }

  // A fan without a token: to be one costs nothing, so that polls may leave them out.
  get isStranger() {
    return !this.#element.getAttribute('token');
  }

  get isOpen() {
    return !find('.side').hidden;
  }

  // Focuses the chat's input; returns whether there is one.
  write() {
    if (!this.isOpen) return false;
    this.show('chat');
    find('.write input').focus();
    return true;
  }

  // Shows the reader a notice for some seconds, or until they act.
  say(text, act) {
    const says = find('.says');
    clearTimeout(this.#saying);
    says.replaceChildren(text, ...(act ? [act] : []));
    if (!act) this.#saying = setTimeout(() => says.replaceChildren(), 8_000);
  }

  // Awaits an act and shows its error, if it has one. Returns the result, or null after an error.
  async attempt(doing, done) {
    try {
      const settled = await doing;
      if (done) this.say(done);
      return settled;
    } catch (error) {
      this.say(errorText(error));
      return null;
    }
  }

  #open(open) {
    find('.side').hidden = !open;
    find('.give').hidden = !open || this.#embedded;
    document.body.classList.toggle('with-room', open);
    if (!open) find('.viewers').hidden = true;
  }

  show(name) {
    for (const tab of document.querySelectorAll('[role=tab]')) {
      const chosen = tab.getAttribute('aria-controls') === name;
      tab.setAttribute('aria-selected', chosen);
      tab.tabIndex = chosen ? 0 : -1;
      document.getElementById(tab.getAttribute('aria-controls')).hidden = !chosen;
    }
    this.#parts.forEach((part) => part.shown?.(name));
  }

  #tabs() {
    const tabs = [...document.querySelectorAll('[role=tab]')];
    for (const [at, tab] of tabs.entries()) {
      tab.addEventListener('click', () => this.show(tab.getAttribute('aria-controls')));
      tab.addEventListener('keydown', ({ key }) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
        if (!step) return;
        const next = tabs[(at + step + tabs.length) % tabs.length];
        next.focus();
        next.click();
      });
    }
  }
}
