// Questions to the creator, those with the most votes first.
import { button, make } from './dom.js';
import { number, t } from './i18n.js';

const find = (selector) => document.querySelector(`.questions ${selector}`);

export class Questions {
  #room;
  #questions = [];
  #votes = new Map();
  #own = new Set();
  #order = '';

  constructor(room) {
    this.#room = room;
    find('form').addEventListener('submit', (event) => this.#ask(event));
  }

  async #ask(event) {
    event.preventDefault();
    const { text } = event.currentTarget.elements;
    const words = text.value;
    if (!words.trim()) return;
    text.value = '';
    const asked = await this.#room.attempt(this.#room.player.ask(words), t('ask.done'));
    if (!asked && !text.value) text.value = words;
  }

  stage({ questions }) {
    this.#questions = questions;
    this.#render();
  }

  pulse({ questions }) {
    this.#votes = new Map(questions.map(({ question, votes }) => [question, votes]));
    this.#render();
  }

  identity() {
    this.#order = '';
    this.#render();
  }

  #render() {
    const votes = ({ question }) => this.#votes.get(question) ?? 0;
    const sorted = [...this.#questions].sort((one, other) => votes(other) - votes(one) || one.question - other.question);
    find('.none').hidden = sorted.length > 0;
    const order = JSON.stringify(sorted.map((each) => [each, votes(each), this.#own.has(each.question)]));
    if (order === this.#order) return;
    this.#order = order;
    const focused = document.activeElement?.closest?.('.questions li')?.dataset.question;
    find('ol').replaceChildren(...sorted.map((each) => this.#item(each, votes(each))));
    if (focused) find(`li[data-question="${focused}"] button`)?.focus();
  }

  #item({ question, name, text }, votes) {
    const upvote = button(`▲ ${number(votes)}`, () => this.#upvote(question), {
      className: 'upvote', label: t('questions.upvote', { votes }), disabled: this.#own.has(question),
    });
    const act = (words, what) => button(words, () => this.#room.attempt(this.#room.player.moderate(what)));
    const acts = this.#room.keepsOrder
      ? [act(t('questions.answered'), { answer: question }), act(t('questions.dismiss'), { dismiss: question })]
      : [];
    return make('li', { data: { question } }, [
      upvote,
      make('div', {}, [make('small', { text: t('questions.by', { name }) }), make('p', { text }), ...acts]),
    ]);
  }

  async #upvote(question) {
    if (await this.#room.attempt(this.#room.player.upvote(question))) {
      this.#own.add(question);
      this.#render();
    }
  }
}
