// Elements made from text: no text of a fan can become markup.

// Makes an element with properties; `text` is its content, `label` its accessible name, `data` its data attributes.
export function make(name, { text, label, data = {}, ...properties } = {}, children = []) {
  const element = document.createElement(name);
  Object.assign(element, properties);
  if (text !== undefined) element.textContent = text;
  if (label !== undefined) {
    element.setAttribute('aria-label', label);
    if (name === 'button') element.title = label;
  }
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}

export const button = (text, act, properties = {}) => make('button', { type: 'button', text, onclick: act, ...properties });

// Returns the seconds until a moment, rounded up; 0 once it is past.
export const secondsTo = (at) => Math.max(0, Math.ceil((at - Date.now()) / 1e3));
