// <fanfare-player>: a player with controls, for any page. Its content is shown over the picture.
import { Player } from './player.js';

const icon = (path) => `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}"/></svg>`;
const ICONS = {
  play: icon('M8 5.5v13l10.5-6.5z'),
  pause: icon('M7.5 5.5h3v13h-3zM13.5 5.5h3v13h-3z'),
  loud: icon('M4 9.5v5h3.5l4.5 4v-13l-4.5 4zM15 8.6a4.6 4.6 0 0 1 0 6.8M17.6 6a8.4 8.4 0 0 1 0 12'),
  silent: icon('M4 9.5v5h3.5l4.5 4v-13l-4.5 4zM16 9.5l5 5M21 9.5l-5 5'),
  settings: icon('M4 7h9M17 7h3M4 12h3M11 12h9M4 17h9M17 17h3M15 5v4M9 10v4M15 15v4'),
  stats: icon('M5 19v-6M10 19V9M15 19v-9M20 19V5'),
  pip: icon('M4 6h16v12H4zM12 12h6v4h-6z'),
  full: icon('M4 9V5h4M16 5h4v4M20 15v4h-4M8 19H4v-4'),
  leave: icon('M8 5v4H4M20 9h-4V5M16 19v-4h4M4 15h4v4'),
};

// The text of each state, and the button that it offers.
const STATES = {
  connecting: { title: 'Connecting', text: '', busy: true },
  live: null,
  offline: { title: 'Nobody is on stage', text: 'It starts by itself as soon as the show does.', busy: true },
  reconnecting: { title: 'No connection', text: 'Trying again.', busy: true, act: 'Try now' },
  ended: { title: 'The show is over', text: 'Thank you for being here.', act: 'Look again' },
  unsupported: {
    title: 'This browser cannot play it',
    text: 'Chrome, Edge, Firefox and Safari can, in their newest versions.',
  },
};

const LATENCIES = [
  [40, 'Lowest'],
  [120, 'Low'],
  [500, 'Steady'],
  [2000, 'Steadiest'],
];

const STYLE = `
:host {
  --accent: var(--fanfare-accent, #ff6a4d);
  --ink: #f5f4f1;
  --dim: rgb(245 244 241 / .66);
  --veil: rgb(12 12 15 / .78);
  display: block; position: relative; overflow: hidden; background: #050506; color: var(--ink);
  aspect-ratio: 16 / 9; border-radius: var(--fanfare-radius, 0);
  font: 500 14px/1.4 var(--fanfare-font, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif);
  -webkit-tap-highlight-color: transparent; user-select: none;
}
:host([hidden]) { display: none }
:host(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px }
:host(:fullscreen), :host(.filled) { border-radius: 0; aspect-ratio: auto }
:host(.filled) { position: fixed; inset: 0; z-index: 2147483647 }
* { box-sizing: border-box }
[hidden] { display: none !important }
.screen { position: absolute; inset: 0 }
canvas { width: 100%; height: 100%; object-fit: contain; display: block; transition: opacity .4s }
.dimmed canvas { opacity: .28 }
button, select, input { font: inherit; color: inherit }
button { border: 0; background: none; padding: 0; cursor: pointer; border-radius: 8px }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px }
svg { width: 22px; height: 22px; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; display: block }

.notice { position: absolute; inset: 0; display: grid; place-content: center; justify-items: center; gap: 6px; padding: 24px 24px 56px; text-align: center }
.notice h2 { margin: 0; font-size: clamp(18px, 3.2cqi, 26px); font-weight: 600; letter-spacing: -.01em; text-wrap: balance }
.notice p { margin: 0; color: var(--dim); max-width: 36em; text-wrap: balance }
.notice button { margin-top: 12px; padding: 9px 18px; background: var(--ink); color: #111; border-radius: 999px; font-weight: 600 }
.busy { width: 26px; height: 26px; margin-bottom: 10px; border-radius: 50%; border: 2px solid rgb(255 255 255 / .2); border-top-color: var(--ink); animation: turn 1s linear infinite }
@keyframes turn { to { transform: rotate(1turn) } }

.unmute { position: absolute; left: 16px; top: 16px; display: flex; gap: 8px; align-items: center; padding: 9px 16px 9px 12px; background: var(--ink); color: #111; border-radius: 999px; font-weight: 600; box-shadow: 0 2px 18px rgb(0 0 0 / .35) }

.bar { position: absolute; inset: auto 0 0; display: flex; align-items: center; gap: 2px; padding: 44px 10px 8px; background: linear-gradient(transparent, rgb(0 0 0 / .5) 45%, rgb(0 0 0 / .82)); transition: opacity .25s }
.idle .bar { opacity: 0 }
.idle { cursor: none }
.bar svg, .live { filter: drop-shadow(0 0 3px rgb(0 0 0 / .7)) }
.bar button { width: 40px; height: 40px; display: grid; place-items: center; opacity: .9 }
.bar button:hover, .bar button[aria-expanded=true], .bar button[aria-pressed=true] { opacity: 1; background: rgb(255 255 255 / .13) }
.space { flex: 1 }
.volume { width: 0; opacity: 0; transition: width .2s, opacity .2s; accent-color: var(--ink); height: 4px; margin: 0 }
.sound { display: flex; align-items: center }
.sound:hover .volume, .sound:focus-within .volume { width: 84px; opacity: 1; margin: 0 8px 0 4px }
.live { display: flex; align-items: center; gap: 7px; padding: 0 10px; font-size: 13px; font-weight: 600; letter-spacing: .04em; white-space: nowrap }
.live i { width: 8px; height: 8px; border-radius: 50%; background: var(--dim) }
.live.on i { background: #ff3b3b; box-shadow: 0 0 0 3px rgb(255 59 59 / .22) }
.live small { font-size: 13px; font-weight: 500; color: var(--dim); letter-spacing: 0; font-variant-numeric: tabular-nums }

.menu { position: absolute; right: 12px; bottom: 60px; width: 264px; max-height: calc(100% - 76px); overflow: auto; padding: 14px 16px 16px; background: var(--veil); backdrop-filter: blur(18px) saturate(1.4); border: 1px solid rgb(255 255 255 / .09); border-radius: 14px }
.menu fieldset { border: 0; margin: 0; padding: 0 }
.menu fieldset + fieldset { margin-top: 14px }
.menu legend { padding: 0; margin-bottom: 6px; font-size: 12px; color: var(--dim); letter-spacing: .02em }
.menu .choices { display: flex; flex-wrap: wrap; gap: 6px }
.menu label { cursor: pointer }
.menu label span { display: block; padding: 6px 11px; border-radius: 999px; background: rgb(255 255 255 / .09); font-size: 13px }
.menu input[type=radio] { position: absolute; opacity: 0; pointer-events: none }
.menu input:checked + span { background: var(--ink); color: #111 }
.menu input:focus-visible + span { outline: 2px solid var(--accent); outline-offset: 1px }
.menu .row { display: flex; justify-content: space-between; align-items: baseline; margin-top: 8px; font-size: 12px; color: var(--dim); font-variant-numeric: tabular-nums }
.menu input[type=range] { width: 100%; accent-color: var(--ink); margin: 10px 0 0 }

.figures { position: absolute; left: 12px; top: 12px; margin: 0; padding: 12px 14px; display: grid; grid-template-columns: auto auto; gap: 3px 18px; background: var(--veil); backdrop-filter: blur(18px); border-radius: 12px; font-size: 12px; font-variant-numeric: tabular-nums; pointer-events: none }
.figures dt { color: var(--dim) }
.figures dd { margin: 0; text-align: right }
.unmute:not([hidden]) ~ .figures { top: 64px }
.hint { position: absolute; left: 50%; top: 18px; transform: translateX(-50%); padding: 7px 14px; background: var(--veil); border-radius: 999px; font-size: 13px; opacity: 0; transition: opacity .25s; pointer-events: none }
.hint.on { opacity: 1 }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
.frame { container-type: inline-size; position: absolute; inset: 0 }
@container (max-width: 460px) {
  .bar { padding: 36px 4px 4px }
  .live small { display: none }
  .sound .volume { display: none }
  .menu { left: 8px; right: 8px; bottom: 52px; width: auto; max-height: calc(100% - 60px); padding: 10px 12px 12px }
  .menu fieldset + fieldset { margin-top: 8px }
  .menu legend { margin-bottom: 4px }
  .menu .delay, .menu .row { display: none }
  .figures:has(~ .menu:not([hidden])) { display: none }
  .figures { font-size: 11px; padding: 9px 11px; gap: 1px 14px }
}
@media (prefers-reduced-motion: reduce) {
  * { transition: none !important }
  .busy { animation-duration: 4s }
}
`;

const MARKUP = `
<style>${STYLE}</style>
<div class="frame"><div class="screen"><canvas></canvas></div><slot></slot>
<div class="notice" role="status" aria-live="polite"></div>
<button class="unmute" hidden>${ICONS.silent}<span>Tap for sound</span></button>
<dl class="figures" aria-label="Statistics" hidden></dl>
<div class="hint" aria-hidden="true"></div>
<div class="menu" role="dialog" aria-label="Settings" hidden></div>
<div class="bar" hidden>
  <button class="pause"></button>
  <div class="sound"><button class="mute"></button><input class="volume" type="range" min="0" max="1" step="0.05" aria-label="Volume"></div>
  <div class="live"><i></i><span></span><small></small></div>
  <div class="space"></div>
  <button class="stats" aria-label="Statistics" title="Statistics (s)" aria-pressed="false">${ICONS.stats}</button>
  <button class="settings" aria-label="Settings" title="Settings" aria-expanded="false">${ICONS.settings}</button>
  <button class="pip" aria-label="Picture in picture" title="Picture in picture (p)">${ICONS.pip}</button>
  <button class="full" aria-label="Full screen" title="Full screen (f)">${ICONS.full}</button>
</div></div>`;

// Time without movement after which the controls disappear.
const IDLE_MS = 2_500;
const FORWARDED = [
  'statechange', 'stats', 'renditionschange', 'renditionchange', 'resize', 'firstframe', 'decodeerror', 'volumechange',
  'pausechange', 'interaction', 'identity', 'chat', 'echo', 'pulse', 'stage', 'waiting',
];

export class FanfarePlayer extends HTMLElement {
  static observedAttributes = ['room', 'src', 'fingerprint', 'webtransport', 'websocket', 'latency', 'token', 'controls'];

  #player = null;
  #root;
  #idle;
  #hinting;
  #starting;
  #figures = false;
  #window = null;

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: 'open' });
    this.#root.innerHTML = MARKUP;
    this.#wire();
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }

  get player() {
    return this.#player;
  }

  get state() {
    return this.#player?.state ?? 'connecting';
  }

  get stats() {
    return this.#player?.stats ?? null;
  }

  get controls() {
    return this.hasAttribute('controls');
  }

  connectedCallback() {
    if (!this.hasAttribute('tabindex')) this.tabIndex = 0;
    if (!this.hasAttribute('role')) this.setAttribute('role', 'region');
    if (!this.hasAttribute('aria-label')) this.setAttribute('aria-label', 'Live video');
    this.#restart();
  }

  disconnectedCallback() {
    // An element that was moved, as into a picture-in-picture window, is connected again.
    queueMicrotask(() => {
      if (!this.isConnected) this.#close();
    });
  }

  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (name === 'latency') {
      if (this.#player) this.#player.latency = Number(after ?? 120);
    } else if (name === 'controls') {
      this.#render();
    } else {
      this.#restart();
    }
  }

  #close() {
    this.#starting = null;
    this.#player?.close();
    this.#player = null;
  }

  // Starts over with the present attributes, once all of them are set.
  #restart() {
    const starting = (this.#starting = {});
    queueMicrotask(async () => {
      if (this.#starting !== starting || !this.isConnected) return;
      this.#player?.close();
      this.#player = null;
      this.#render();
      let edge;
      try {
        edge = await this.#edge();
      } catch {
        if (this.#starting !== starting) return;
        this.#notice({ title: 'The stage cannot be reached', text: 'The server does not answer. Trying again.', busy: true });
        setTimeout(() => this.#starting === starting && this.#restart(), 3_000);
        return;
      }
      if (this.#starting !== starting) return;
      this.#play(edge);
    });
  }

  // Returns the addresses of the room: from the attributes, or from the edge node itself.
  async #edge() {
    const attribute = (name) => this.getAttribute(name) ?? undefined;
    const fingerprints = attribute('fingerprint')?.split(/\s+/).filter(Boolean) ?? [];
    const [webtransport, websocket] = [attribute('webtransport'), attribute('websocket')];
    if (webtransport || websocket) return { webtransport, websocket, fingerprints };
    const src = attribute('src');
    if (src && fingerprints.length) return { webtransport: src, fingerprints };
    const answer = await fetch(new URL('/api/edge', src ?? location.href));
    if (!answer.ok) throw new Error(`the edge answered ${answer.status}`);
    return answer.json();
  }

  #play(edge) {
    // A canvas can be transferred to one Worker only.
    const canvas = document.createElement('canvas');
    this.#find('.screen').replaceChildren(canvas);
    const latency = this.hasAttribute('latency') ? Number(this.getAttribute('latency')) : undefined;
    const player = new Player(canvas, { room: this.getAttribute('room') ?? '', latency, token: this.getAttribute('token') ?? undefined, ...edge });
    this.#player = player;
    for (const name of FORWARDED) {
      player.addEventListener(name, (event) => {
        if (this.#player !== player) return;
        this.dispatchEvent(new CustomEvent(name, { detail: event.detail }));
      });
    }
    player.addEventListener('statechange', () => this.#render());
    player.addEventListener('volumechange', () => this.#render());
    player.addEventListener('pausechange', () => this.#render());
    player.addEventListener('renditionschange', () => this.#menu());
    player.addEventListener('stats', ({ detail }) => this.#count(detail));
    player.addEventListener('audio', () => this.#hear(), { once: true });
    this.#render();
  }

  // Makes sound at once where the browser allows it; elsewhere shows a button for it.
  async #hear() {
    const allowed = !this.hasAttribute('muted') && (await this.#player?.unmute());
    this.#find('.unmute').hidden = Boolean(allowed) || !this.controls;
  }

  async #toggleSound() {
    const player = this.#player;
    if (!player) return;
    if (player.muted) await player.unmute();
    else player.mute();
    this.#find('.unmute').hidden = true;
    this.#hint(player.muted ? 'Muted' : 'Sound on');
  }

  #wire() {
    const on = (selector, act) => this.#find(selector).addEventListener('click', act);
    on('.unmute', () => this.#toggleSound());
    on('.mute', () => this.#toggleSound());
    on('.pause', () => this.#togglePause());
    on('.full', () => this.#toggleFull());
    on('.pip', () => this.#togglePip());
    on('.stats', () => this.#toggleFigures());
    on('.settings', () => this.#toggleMenu());
    this.#find('.volume').addEventListener('input', ({ target }) => this.#setVolume(Number(target.value)));
    this.#find('.screen').addEventListener('click', () => {
      if (!this.#find('.menu').hidden) this.#toggleMenu(false);
    });
    this.#find('.screen').addEventListener('dblclick', () => this.controls && this.#toggleFull());
    for (const moved of ['pointermove', 'pointerdown', 'focusin', 'keydown']) {
      this.addEventListener(moved, () => this.#awake());
    }
    this.addEventListener('pointerleave', () => this.#awake(400));
    this.addEventListener('keydown', (event) => this.#key(event));
    document.addEventListener('fullscreenchange', () => this.#render());
  }

  #key(event) {
    if (!this.controls || event.ctrlKey || event.metaKey || event.altKey) return;
    // Sliders, choices and buttons have keys of their own.
    const inside = event.composedPath()[0];
    const own = inside.matches?.('input, select');
    const player = this.#player;
    const act = {
      ' ': () => this.#togglePause(),
      m: () => this.#toggleSound(),
      f: () => this.#toggleFull(),
      p: () => this.#togglePip(),
      s: () => this.#toggleFigures(),
      ArrowUp: () => this.#setVolume(player.volume + 0.05),
      ArrowDown: () => this.#setVolume(player.volume - 0.05),
      ArrowLeft: () => this.#setLatency(player.latency + 100),
      ArrowRight: () => this.#setLatency(player.latency - 100),
      Escape: () => this.#toggleMenu(false),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || !player || (own && event.key !== 'Escape') || (inside.matches?.('button') && event.key === ' ')) return;
    event.preventDefault();
    act();
  }

  #setVolume(volume) {
    if (!this.#player) return;
    this.#player.volume = volume;
    if (volume > 0 && this.#player.muted) this.#player.unmute();
    this.#find('.unmute').hidden = true;
    this.#hint(`Volume ${Math.round(this.#player.volume * 100)} %`);
  }

  #setLatency(ms) {
    if (!this.#player) return;
    this.#player.latency = Math.min(5_000, Math.max(0, ms));
    this.#menu();
    this.#hint(`Delay ${(this.#player.latency / 1e3).toFixed(1)} s`);
  }

  #togglePause() {
    if (this.#player?.paused) this.#player.resume();
    else this.#player?.pause();
  }

  async #toggleFull() {
    const full = document.fullscreenElement === this;
    if (full) return document.exitFullscreen();
    if (this.requestFullscreen) return this.requestFullscreen().catch(() => {});
    // Some phones have full screen only for video elements.
    this.classList.toggle('filled');
    this.#render();
  }

  async #togglePip() {
    if (this.#window) return this.#window.close();
    const player = this.#player;
    if (!player || !globalThis.documentPictureInPicture) return;
    const { width = 16, height = 9 } = player.size ?? {};
    const window = await documentPictureInPicture.requestWindow({ width: 480, height: Math.round((480 * height) / width) });
    this.#window = window;
    const screen = this.#find('.screen');
    const style = window.document.createElement('style');
    style.textContent = 'html,body{margin:0;height:100%;background:#000}div{height:100%}canvas{width:100%;height:100%;object-fit:contain;display:block}';
    window.document.head.append(style);
    window.document.body.append(screen);
    player.pinned = true;
    window.addEventListener('pagehide', () => {
      this.#window = null;
      this.#find('.frame').prepend(screen);
      if (this.#player) this.#player.pinned = false;
    });
  }

  #toggleFigures() {
    this.#figures = !this.#figures;
    this.#find('.stats').setAttribute('aria-pressed', this.#figures);
    if (this.stats) this.#count(this.stats);
    this.#find('.figures').hidden = !this.#figures;
  }

  #toggleMenu(open = this.#find('.menu').hidden) {
    this.#menu();
    this.#find('.menu').hidden = !open;
    this.#find('.settings').setAttribute('aria-expanded', open);
    const first = open ? this.#find('.menu input:checked') : null;
    first?.focus();
  }

  #menu() {
    const player = this.#player;
    if (!player) return;
    const choice = (group, value, label, checked) =>
      `<label><input type="radio" name="${group}" value="${value}" ${checked ? 'checked' : ''}><span>${label}</span></label>`;
    const escape = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
    const selected = player.selectedRendition;
    const renditions = player.renditions.map(({ name, label }) => choice('quality', escape(name), escape(label), name === selected));
    const latencies = LATENCIES.map(([ms, label]) => choice('latency', ms, label, player.latency === ms));
    const menu = this.#find('.menu');
    menu.innerHTML = `
      <fieldset><legend>Quality</legend><div class="choices">${choice('quality', '', 'Auto', selected === null)}${renditions.join('')}</div></fieldset>
      <fieldset><legend>Delay</legend><div class="choices">${latencies.join('')}</div>
      <input class="delay" type="range" min="0" max="5000" step="20" value="${player.latency}" aria-label="Delay in milliseconds">
      <div class="row"><span>nearest to live</span><span class="value">${(player.latency / 1e3).toFixed(2)} s</span></div></fieldset>`;
    menu.onchange = ({ target }) => {
      if (target.name === 'quality') player.selectRendition(target.value || null);
      if (target.name === 'latency') {
        player.latency = Number(target.value);
        menu.querySelector('.delay').value = target.value;
        menu.querySelector('.value').textContent = `${(player.latency / 1e3).toFixed(2)} s`;
      }
    };
    menu.querySelector('.delay').oninput = ({ target }) => {
      player.latency = Number(target.value);
      menu.querySelector('.value').textContent = `${(player.latency / 1e3).toFixed(2)} s`;
      for (const radio of menu.querySelectorAll('[name=latency]')) radio.checked = Number(radio.value) === player.latency;
    };
  }

  #hint(text) {
    const hint = this.#find('.hint');
    hint.textContent = text;
    hint.classList.add('on');
    clearTimeout(this.#hinting);
    this.#hinting = setTimeout(() => hint.classList.remove('on'), 900);
  }

  #awake(wait = IDLE_MS) {
    const frame = this.#find('.frame');
    frame.classList.remove('idle');
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      const busy = !this.#find('.menu').hidden || this.#player?.state !== 'live' || this.#player?.paused;
      const focused = this.#root.activeElement?.matches(':focus-visible');
      frame.classList.toggle('idle', !busy && !focused);
    }, wait);
  }

  #notice(says) {
    const notice = this.#find('.notice');
    notice.hidden = !says;
    this.#find('.frame').classList.toggle('dimmed', Boolean(says));
    if (!says) return notice.replaceChildren();
    const make = (name, text, kind) => Object.assign(document.createElement(name), { textContent: text, className: kind ?? '' });
    notice.replaceChildren(make('h2', says.title));
    if (says.busy) notice.prepend(make('div', '', 'busy'));
    if (says.text) notice.append(make('p', says.text));
    if (says.act) {
      const button = make('button', says.act);
      button.onclick = () => (this.#player?.paused ? this.#player.resume() : this.#player?.reconnect());
      notice.append(button);
    }
  }

  #render() {
    const player = this.#player;
    const state = this.state;
    const bar = this.#find('.bar');
    bar.hidden = !this.controls || state === 'unsupported';
    const says = player?.paused ? { title: 'Paused', text: 'It goes on live.', act: 'Go on' } : STATES[state];
    const reason = state === 'unsupported' ? player?.reason : '';
    this.#notice(says && reason ? { ...says, text: `${reason} ${says.text}` } : says);
    const live = this.#find('.live');
    live.classList.toggle('on', state === 'live' && !player?.paused);
    live.querySelector('span').textContent = (player?.paused ? 'paused' : state).toUpperCase();
    const label = (selector, picture, words) => {
      const button = this.#find(selector);
      button.innerHTML = picture;
      button.ariaLabel = words;
      button.title = words;
    };
    label('.pause', player?.paused ? ICONS.play : ICONS.pause, player?.paused ? 'Play (space)' : 'Pause (space)');
    const silent = player?.muted ?? true;
    label('.mute', silent ? ICONS.silent : ICONS.loud, silent ? 'Unmute (m)' : 'Mute (m)');
    this.#find('.volume').value = silent ? 0 : player.volume;
    const full = document.fullscreenElement === this || this.classList.contains('filled');
    label('.full', full ? ICONS.leave : ICONS.full, full ? 'Leave full screen (f)' : 'Full screen (f)');
    this.#find('.pip').hidden = !globalThis.documentPictureInPicture;
    if (!this.controls || !silent) this.#find('.unmute').hidden = true;
    this.#awake();
  }

  #count(stats) {
    const ms = (value) => (value === null ? '–' : `${Math.round(value)} ms`);
    this.#find('.live small').textContent = stats.latency === null || stats.latency < 0 || stats.latency > 60_000 ? '' : `${(stats.latency / 1e3).toFixed(2)} s`;
    if (!this.#figures) return;
    const rows = {
      Latency: ms(stats.latency),
      Buffer: `${ms(stats.buffer)} of ${ms(stats.delay)}`,
      Picture: stats.width ? `${stats.width} × ${stats.height}, ${Math.round(stats.fps)} fps` : '–',
      Codec: stats.codec ?? '–',
      Bitrate: `${(stats.bitrate / 1e6).toFixed(2)} Mbit/s`,
      Dropped: `${stats.dropped} of ${stats.frames + stats.dropped}`,
      Sound: stats.sync === null ? 'off' : `${stats.sync >= 0 ? '+' : ''}${stats.sync.toFixed(0)} ms`,
      Transport: stats.transport ?? '–',
      'Round trip': stats.rtt === null ? '–' : `${stats.rtt.toFixed(1)} ms`,
    };
    const list = this.#find('.figures');
    const line = ([name, value]) => {
      const [term, figure] = [document.createElement('dt'), document.createElement('dd')];
      term.textContent = name;
      figure.textContent = value;
      return [term, figure];
    };
    list.replaceChildren(...Object.entries(rows).flatMap(line));
  }
}

if (!customElements.get('fanfare-player')) customElements.define('fanfare-player', FanfarePlayer);
