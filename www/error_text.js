// The text for an error of the room, in the reader's language.
import { secondsTo } from './dom.js';
import { has, t } from './i18n.js';

export function errorText(error) {
  const key = `error.${error.code}`;
  if (!has(key)) return error.message;
  return t(key, { seconds: error.until ? secondsTo(error.until) : 0, max: error.max ?? 0 });
}
