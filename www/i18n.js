// The page's texts in the reader's language, one message file for each. `?lang=` overrides the browser's languages.

const LANGUAGES = { en: 'en', zh: 'zh-CN' };

function choose() {
  const asked = new URLSearchParams(location.search).get('lang');
  const wanted = [asked, ...navigator.languages].filter(Boolean);
  const known = wanted.map((language) => LANGUAGES[language.toLowerCase().split('-')[0]]).find(Boolean);
  return known ?? 'en';
}

export const language = choose();
const messages = await (await fetch(`/messages/${language}.json`)).json();

const numbers = new Intl.NumberFormat(language);
const times = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit' });

// Returns a message with its placeholders filled in.
export function t(key, values = {}) {
  const message = messages[key] ?? key;
  return message.replace(/\{(\w+)\}/g, (place, name) => {
    const value = values[name];
    return typeof value === 'number' ? numbers.format(value) : (value ?? place);
  });
}

export const has = (key) => key in messages;
export const number = (value) => numbers.format(value);
export const time = (at) => times.format(at);

// Fills in the messages that the markup names.
export function translate(root) {
  for (const element of root.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll('[data-t-label]')) {
    element.setAttribute('aria-label', t(element.dataset.tLabel));
    if (element.matches('button')) element.title = t(element.dataset.tLabel);
  }
  for (const element of root.querySelectorAll('[data-t-placeholder]')) {
    element.placeholder = t(element.dataset.tPlaceholder);
  }
}

document.documentElement.lang = language;
translate(document);
