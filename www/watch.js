// The watch page: chooses the room, and shows its player and state. Under `/embed/` it is for frames of other sites: the
// player and the chat, without any token that somebody has handed over, and without what moderators do.
import '/client/index.js';
import { Room } from './room.js';
import { t } from './i18n.js';
import { keep, recall } from './kept.js';

// Paths that may be framed by other sites: `_headers` names them too.
const EMBED = '/embed/';
const embedded = location.pathname.startsWith(EMBED);

const find = (selector) => document.querySelector(selector);

const STATES = {
  connecting: t('state.connecting'),
  live: t('state.live'),
  offline: t('state.offline'),
  reconnecting: t('state.reconnecting'),
  ended: t('state.ended'),
  unsupported: t('state.unsupported'),
};

// Returns the room's name: `?room=NAME`, or the path itself.
function room() {
  const asked = new URLSearchParams(location.search).get('room');
  if (asked) return asked;
  let path = embedded ? location.pathname.slice(EMBED.length) : location.pathname;
  path = path.replace(/^\/+|\/+$/g, '');
  // A path that decodes to nothing stays what it is: the name of a room that nobody has.
  try { path = decodeURIComponent(path); } catch { /* as it is */ }
  return path === 'watch.html' || path === 'watch' ? '' : path;
}

// Returns the token that came with the link as `#token=`, and removes it from the address, which viewers copy.
function handed() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token) {
    sessionStorage.setItem('token', token);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem('token');
}

function watch(name) {
  const player = document.createElement('fanfare-player');
  player.setAttribute('room', name);
  player.setAttribute('controls', '');
  player.setAttribute('aria-label', t('stage.of', { name }));
  const latency = new URLSearchParams(location.search).get('latency');
  if (latency) player.setAttribute('latency', latency);

  // A frame's site may trick a click out of whoever looks at it, so nobody is a moderator there.
  const token = embedded ? null : handed();
  if (token) player.setAttribute('token', token);

  let title = name.split('/').at(-1);
  const state = find('.state');
  const show = () => {
    find('.about h1').textContent = title;
    state.dataset.state = player.state;
    state.querySelector('span').textContent = STATES[player.state];
    document.title = `${player.state === 'live' ? '● ' : ''}${title} · Fanfare`;
  };
  player.addEventListener('statechange', show);
  player.addEventListener('stage', ({ detail }) => {
    title = detail.title || name.split('/').at(-1);
    show();
  });
  show();
  find('.stage').append(player);
  const room = new Room(player, { embedded });
  for (const part of ['.stage', '.about', ...(embedded ? [] : ['footer'])]) find(part).hidden = false;
  // The player's keys work anywhere on the page, except in fields and on buttons.
  addEventListener('keydown', (event) => {
    const writing = event.target.closest?.('input, textarea, select, button, a, summary, fanfare-player');
    if (writing) return;
    if (event.key === 'c' && !event.ctrlKey && !event.metaKey && !event.altKey && room.write()) return event.preventDefault();
    const again = new KeyboardEvent('keydown', { key: event.key, ctrlKey: event.ctrlKey, metaKey: event.metaKey, altKey: event.altKey, cancelable: true });
    if (!player.dispatchEvent(again)) event.preventDefault();
  });
  globalThis.player = player;
}

find('.share').addEventListener('click', async ({ target }) => {
  if (navigator.share && matchMedia('(pointer: coarse)').matches) {
    await navigator.share({ title: document.title, url: location.href }).catch(() => {});
    return;
  }
  const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
  target.textContent = copied ? t('share.done') : t('share.failed');
  setTimeout(() => (target.textContent = t('share')), 1_600);
});

find('.theme').addEventListener('click', () => {
  const root = document.documentElement;
  const dark = getComputedStyle(root).colorScheme === 'dark';
  root.dataset.theme = dark ? 'light' : 'dark';
  keep('theme', root.dataset.theme);
});
const theme = recall('theme');
if (theme) document.documentElement.dataset.theme = theme;

document.body.classList.toggle('embedded', embedded);
const name = room();
if (name) {
  watch(name);
} else {
  const form = find('.enter-room');
  form.hidden = false;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const path = form.elements.room.value.trim().split('/').map(encodeURIComponent).join('/');
    location.assign(`/${path}`);
  });
  form.elements.room.focus();
}
