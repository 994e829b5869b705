// The room beside the stage: what everybody says and does, and one's own part in it.
import { Chat } from './chat.js';
import { Danmaku } from './danmaku.js';
import { explain } from './explain.js';
import { Gives } from './gives.js';
import { Poll } from './poll.js';
import { Questions } from './questions.js';
import { t } from './words.js';

const find = (selector) => document.querySelector(selector);

export class Room {
  #element;
  #parts;
  #saying;

  // Who the fan is, what is on, and the numbers, as last heard.
  identity = null;
  stage = null;
  pulse = null;

  constructor(element) {
    this.#element = element;
    const chat = new Chat(this);
    this.#parts = [chat, new Danmaku(this), new Gives(this), new Poll(this), new Questions(this)];
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
    // What counts down does so by the second.
    setInterval(() => this.#parts.forEach((part) => part.second?.()), 1_000);
    this.#tabs();
  }

  // The player of now: the element makes another when its attributes change.
  get player() {
    return this.#element.player;
  }

  // Puts something over the picture, in full screen too.
  overlay(layer) {
    this.#element.append(layer);
  }

  get keepsOrder() {
    return ['moderator', 'creator'].includes(this.identity?.role);
  }

  get isOpen() {
    return !find('.side').hidden;
  }

  // Goes to where one writes; whether there is such a place.
  write() {
    if (!this.isOpen) return false;
    this.show('chat');
    find('.write input').focus();
    return true;
  }

  // Says something to the reader, once.
  say(text, act) {
    const says = find('.says');
    clearTimeout(this.#saying);
    says.replaceChildren(text, ...(act ? [act] : []));
    if (!act) this.#saying = setTimeout(() => says.replaceChildren(), 8_000);
  }

  // Does something, and says why not if it is not taken. Whether it was.
  async attempt(doing, done) {
    try {
      const settled = await doing;
      if (done) this.say(done);
      return settled;
    } catch (error) {
      this.say(explain(error));
      return null;
    }
  }

  #open(open) {
    find('.side').hidden = !open;
    find('.give').hidden = !open;
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
