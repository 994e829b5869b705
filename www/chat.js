// The chat: lines in their order, the fan's own lines before the room has them, and a menu of acts for each.
import { button, make, secondsTo } from './dom.js';
import { errorText } from './error_text.js';
import { Announcer } from './announcer.js';
import { t, time } from './i18n.js';
import { keep, recall } from './kept.js';

const LINES = 500;
// Distance from the end within which the list keeps scrolling to new lines.
const NEAR_PX = 60;
const TIMEOUT_SECONDS = 600;

const find = (selector) => document.querySelector(selector);

// Returns a fan's name, or a default one made from their ID.
const called = (name, fan) => name || t('name.default', { id: fan.slice(-4) });

export class Chat {
  #room;
  #list = find('.log ol');
  // Elements and their lines, by the line's ID.
  #lines = new Map();
  #texts = new Map();
  #echoes = new Map();
  #announcer = new Announcer(find('.spoken'));
  #reply = null;
  // Set while the list keeps scrolling to new lines.
  #follows = true;
  // The fan's name in the room, once it is known.
  #called = null;
  #introduced = false;
  #waitUntil = 0;

  constructor(room) {
    this.#room = room;
    find('.write').addEventListener('submit', (event) => this.#send(event));
    find('.write .name').addEventListener('click', () => this.#rename(true));
    find('.rename').addEventListener('submit', (event) => this.#take(event));
    find('.rename').addEventListener('keydown', ({ key }) => key === 'Escape' && this.#rename(false));
    find('.log').addEventListener('scroll', () => {
      this.#follows = this.#atEnd;
      find('.newest').hidden ||= this.#follows;
    }, { passive: true });
    new ResizeObserver(() => this.#follows && this.#toEnd()).observe(this.#log);
    find('.newest').addEventListener('click', () => this.#toEnd());
    this.#name();
  }

  get #log() {
    return find('.log');
  }

  get #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  #toEnd() {
    this.#follows = true;
    this.#log.scrollTop = this.#log.scrollHeight;
    find('.newest').hidden = true;
  }

  // Adds to the list without moving the reader's position in it.
  #keepPosition(change) {
    change();
    while (this.#list.children.length > LINES) {
      const oldest = this.#list.firstElementChild;
      this.#lines.delete(Number(oldest.dataset.id));
      this.#texts.delete(Number(oldest.dataset.id));
      oldest.remove();
    }
    if (this.#follows) this.#toEnd();
    else find('.newest').hidden = false;
  }

  chat({ lines, gifts, deleted }) {
    const news = [...lines, ...gifts].sort((one, other) => one.id - other.id);
    if (news.length) this.#keepPosition(() => news.forEach((item) => this.#insert(item)));
    for (const id of deleted) {
      this.#lines.get(id)?.remove();
      this.#lines.delete(id);
      this.#texts.delete(id);
    }
    const others = lines.filter(({ fan }) => fan !== this.#room.identity?.fan);
    this.#announcer.say(others.map(({ name, fan, text }) => t('announce.line', { name: called(name, fan), text })));
  }

  #insert(item) {
    const own = item.fan === this.#room.identity?.fan;
    if (own && item.text !== undefined) {
      this.#knownAs(item.name);
      // The line came before the answer to it: it replaces the echo.
      const echo = [...this.#echoes.values()].find((echo) => echo.id === item.id || echo.text === item.text);
      if (echo) this.#drop(echo);
    }
    const element = item.text === undefined ? this.#given(item) : this.#line(item);
    if (own) element.classList.add('own');
    element.dataset.id = item.id;
    const before = [...this.#list.children].reverse().find(({ dataset }) => dataset.id && Number(dataset.id) < item.id);
    if (before) before.after(element);
    else this.#list.prepend(element);
    this.#lines.set(item.id, element);
    this.#texts.set(item.id, item);
  }

  #line({ id, at, fan, name: given, role, text, reply, mentions }) {
    const name = called(given, fan);
    const element = make('li', { className: 'line' });
    if (reply !== null) {
      const to = this.#texts.get(reply);
      const says = to ? t('line.answers', { name: called(to.name, to.fan), text: to.text ?? '' }) : t('line.answers.gone');
      element.append(make('span', { className: 'answers', text: says }));
    }
    const badge = role === 'fan' ? [] : [make('span', { className: 'badge', text: t(`role.${role}`) })];
    const actions = button('⋯', ({ currentTarget }) => this.#menu(currentTarget, { id, fan, name, text }), {
      className: 'more', label: t('line.actions', { name }),
    });
    element.append(
      make('span', { className: 'who', text: name, data: { hue: parseInt(fan.slice(-1), 16) % 8 } }), ...badge, ' ',
      make('span', { className: 'text', text }),
      make('time', { text: time(at), dateTime: new Date(at).toISOString() }), actions,
    );
    const { fan: self } = this.#room.identity ?? {};
    if (mentions.includes(self) || (fan !== self && this.#names(text))) element.classList.add('mentioned');
    return element;
  }

  #names(text) {
    return Boolean(this.#own) && text.includes(`@${this.#own}`);
  }

  #given({ fan, name: given, gift, count }) {
    const name = called(given, fan);
    const offer = this.#room.stage?.gifts.find(({ id }) => id === gift);
    const values = { name, icon: offer?.icon ?? '🎁', gift: offer?.name ?? '', count };
    return make('li', { className: 'given', text: t('gifts.given', values) });
  }

  // Shows the fan's own line before the room has it.
  echo({ ticket, text, pending, id, held, error }) {
    let echo = this.#echoes.get(ticket);
    if (pending) {
      const element = make('li', { className: 'line own pending' }, [
        make('span', { className: 'who', text: this.#own ?? '' }), ' ',
        make('span', { className: 'text', text }), make('small', { text: t('line.sending') }),
      ]);
      echo = { ticket, text, element, id: null };
      this.#echoes.set(ticket, echo);
      this.#keepPosition(() => this.#list.append(element));
      this.#toEnd();
      return;
    }
    if (!echo) return;
    const note = echo.element.querySelector('small');
    if (error) {
      echo.element.classList.replace('pending', 'failed');
      note.textContent = t('line.failed', { why: errorText(error) });
      this.#echoes.delete(ticket);
    } else if (held) {
      note.textContent = t('line.waits');
      this.#echoes.delete(ticket);
    } else if (this.#lines.has(id)) {
      this.#drop(echo);
    } else {
      echo.id = id;
      echo.element.classList.remove('pending');
      note.remove();
    }
  }

  #drop({ ticket, element }) {
    element.remove();
    this.#echoes.delete(ticket);
  }

  // Sending lines.

  async #send(event) {
    event.preventDefault();
    const form = event.currentTarget;
    const text = form.elements.text.value;
    if (!text.trim() || this.#blocked) return;
    const reply = this.#reply?.id;
    const danmaku = form.elements.danmaku.checked ? {} : null;
    const mentions = this.#reply ? [this.#reply.fan] : [];
    form.elements.text.value = '';
    this.#answer(null);
    this.#reintroduce();
    try {
      await this.#room.player.say(text, { reply, danmaku, mentions });
      const slow = this.#room.stage?.modes.slowSeconds ?? 0;
      if (slow && !this.#room.keepsOrder) this.#wait(Date.now() + slow * 1e3);
    } catch (error) {
      this.#room.say(errorText(error));
      if (error.until) this.#wait(error.until);
      // The text of a failed line goes back into the input, to be sent again.
      if (!form.elements.text.value) form.elements.text.value = text;
    }
  }

  get #blocked() {
    const { standing, until } = this.#room.identity ?? {};
    return standing === 'banned' || (standing === 'timed-out' && secondsTo(until) > 0) || secondsTo(this.#waitUntil) > 0;
  }

  #wait(until) {
    this.#waitUntil = until;
    this.second();
  }

  // Shows why the fan cannot write, if so, and for how long.
  second() {
    const send = find('.write .send');
    const input = find('.write input[name=text]');
    const { standing, until } = this.#room.identity ?? {};
    const modes = this.#room.stage?.modes;
    const timedOut = standing === 'timed-out' ? secondsTo(until) : 0;
    const waits = secondsTo(this.#waitUntil);
    send.disabled = this.#blocked;
    send.textContent = waits && !timedOut && standing !== 'banned' ? t('wait', { seconds: waits }) : t('send');
    input.disabled = standing === 'banned' || timedOut > 0;
    let hint = t('write');
    if (standing === 'banned') hint = t('standing.banned');
    else if (timedOut) hint = t('standing.timed-out', { seconds: timedOut });
    else if (modes && !this.#room.keepsOrder) {
      if (modes.followersOnly) hint = t('mode.followers');
      else if (modes.emojiOnly) hint = t('mode.emoji');
      else if (modes.holdAll) hint = t('mode.hold');
      else if (modes.slowSeconds) hint = t('mode.slow', { seconds: modes.slowSeconds });
    }
    if (input.placeholder !== hint) input.placeholder = hint;
  }

  identity() {
    this.second();
    this.#name();
  }

  stage({ pinned }) {
    this.second();
    const element = find('.pinned');
    element.hidden = !pinned;
    if (!pinned) return element.replaceChildren();
    const unpin = this.#room.keepsOrder
      ? [button('×', () => this.#room.attempt(this.#room.player.moderate('unpin')), { label: t('act.unpin') })]
      : [];
    element.replaceChildren(
      make('small', { text: t('pinned') }), make('span', { className: 'who', text: called(pinned.name, pinned.fan) }), ' ',
      make('span', { className: 'text', text: pinned.text }), ...unpin,
    );
  }

  #answer(line) {
    this.#reply = line;
    const element = find('.write .reply');
    element.hidden = !line;
    if (!line) return element.replaceChildren();
    element.replaceChildren(
      t('reply.to', { name: line.name }), button('×', () => this.#answer(null), { label: t('reply.leave') }),
    );
    find('.write input[name=text]').focus();
  }

  // The fan's name.

  #knownAs(name) {
    this.#called = name;
    this.#name();
  }

  get #own() {
    return this.#called ?? recall('name');
  }

  #name() {
    find('.write .name').textContent = this.#own ? t('name.now', { name: this.#own }) : t('name.nobody');
  }

  #rename(open) {
    find('.rename').hidden = !open;
    find('.write').hidden = open;
    const input = find('.rename input');
    if (open) {
      input.value = this.#own ?? '';
      input.focus();
    } else {
      find('.write .name').focus();
    }
  }

  async #take(event) {
    event.preventDefault();
    const name = event.currentTarget.elements.name.value.trim();
    if (!name) return this.#rename(false);
    const taken = await this.#room.attempt(this.#room.player.rename(name), t('name.taken', { name }));
    if (!taken) return;
    this.#introduced = true;
    keep('name', name);
    this.#knownAs(name);
    this.#rename(false);
  }

  // Sends the name that was chosen here before, in case the room has forgotten it.
  #reintroduce() {
    const name = recall('name');
    if (this.#introduced || !name) return;
    this.#introduced = true;
    this.#room.player.rename(name).catch(() => {});
  }

  // The menu of acts on a line.

  #menu(at, line) {
    const menu = find('.menu');
    const { id, fan } = line;
    const own = fan === this.#room.identity?.fan;
    const subject = { author: id };
    const acts = [[t('reply'), () => this.#answer(line)]];
    const moderate = (words, act) => acts.push([
      words, () => this.#room.attempt(this.#room.player.moderate(act), t('act.done', { act: words })),
    ]);
    if (own || this.#room.keepsOrder) moderate(t('act.delete'), { delete: id });
    if (this.#room.keepsOrder) {
      moderate(t('act.pin'), { pin: id });
      if (!own) {
        moderate(t('act.timeout'), { timeout: { subject, seconds: TIMEOUT_SECONDS } });
        moderate(t('act.ban'), { ban: { fan } });
        moderate(t('act.mute'), { shadowMute: { fan } });
        moderate(t('act.pardon'), { pardon: { fan } });
      }
    }
    menu.replaceChildren(...acts.map(([text, act]) => button(text, () => {
      menu.hidePopover();
      act();
    })));
    menu.showPopover();
    const { bottom, right, top } = at.getBoundingClientRect();
    const fits = bottom + menu.offsetHeight < innerHeight;
    menu.style.top = `${fits ? bottom : Math.max(8, top - menu.offsetHeight)}px`;
    menu.style.left = `${Math.max(8, right - menu.offsetWidth)}px`;
    menu.querySelector('button').focus();
  }

  // Lists the lines that are held for a moderator.
  waiting(lines) {
    const element = find('.held');
    element.hidden = lines.length === 0 || !this.#room.keepsOrder;
    element.replaceChildren(...lines.map(({ id, name, fan, text }) => make('li', {}, [
      make('span', { className: 'who', text: called(name, fan) }), ' ', make('span', { className: 'text', text }),
      button(t('held.approve'), () => this.#room.attempt(this.#room.player.moderate({ approve: id }))),
      button(t('held.refuse'), () => this.#room.attempt(this.#room.player.moderate({ refuse: id }))),
    ])));
  }
}
