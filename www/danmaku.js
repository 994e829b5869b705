// Danmaku: chat lines that cross the picture.
import { make } from './dom.js';
import { keep, recall } from './kept.js';

const LANES = 12;
// Lines on the picture at once; further ones are only in the chat.
const MOST = 60;
const CROSSING_MS = 9_000;
const COLOURS = [
  '#ffffff', '#ff8a73', '#ffd166', '#8be28b', '#7cd4ff', '#b9a6ff', '#ff9bd2', '#f4f3a0',
  '#ffb86b', '#6ff0d0', '#a8c7ff', '#e0b0ff', '#ff7a9a', '#c8f07a', '#9fe8ff', '#dddddd',
];

export class Danmaku {
  #layer = make('div', { className: 'danmaku', ariaHidden: 'true' });
  #on;
  #known = false;

  constructor(room) {
    room.overlay(this.#layer);
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const wanted = recall('danmaku');
    this.#set(wanted === null ? !still : wanted === 'on');
    document.querySelector('.fly').addEventListener('click', () => {
      this.#set(!this.#on);
      keep('danmaku', this.#on ? 'on' : 'off');
    });
  }

  #set(on) {
    this.#on = on;
    document.querySelector('.fly').setAttribute('aria-pressed', on);
    if (!on) this.#layer.replaceChildren();
  }

  chat({ lines }) {
    // Lines from before the viewer came do not fly again.
    const old = !this.#known;
    this.#known = true;
    if (old || !this.#on || document.hidden) return;
    for (const line of lines) if (line.danmaku) this.#fly(line);
  }

  #fly({ id, text, danmaku: { lane, colour, size } }) {
    if (this.#layer.children.length >= MOST) return;
    const element = make('span', { text, className: size, data: { id } });
    element.style.top = `${((lane ?? 0) % LANES) * (100 / (LANES + 2)) + 3}%`;
    element.style.color = COLOURS[colour % COLOURS.length];
    this.#layer.append(element);
    const [from, to] = [this.#layer.clientWidth, -element.offsetWidth];
    const crossing = element.animate(
      [{ transform: `translateX(${from}px)` }, { transform: `translateX(${to}px)` }],
      { duration: CROSSING_MS, easing: 'linear' },
    );
    crossing.onfinish = () => element.remove();
  }
}
