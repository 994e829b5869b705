// Why something was not taken, in words.
import { secondsTo } from './dom.js';
import { has, t } from './words.js';

export function explain(error) {
  const key = `error.${error.code}`;
  if (!has(key)) return error.message;
  return t(key, { seconds: error.until ? secondsTo(error.until) : 0, max: error.max ?? 0 });
}
