// When the service does not answer: says so once, tries again with growing pauses, and has everything
// loaded again when it is back.

import { base, Store } from './lib.js';

/** The longest pause between two tries, in seconds. */
const LONGEST = 30;

/**
 * @typedef {object} Outage
 * @property {string} message what the service said last
 * @property {number} left seconds until the next try
 */

/** @type {Store<Outage | null>} */
export const outage = new Store(/** @type {Outage | null} */ (null));

/** Counts what was changed or came back: whoever shows records loads them again. */
export const changes = new Store(0);

export function changed() {
  changes.set(changes.value + 1);
}

let tries = 0;
/** @type {ReturnType<typeof setInterval> | undefined} */
let clock;

/** A request had no answer. @param {Error} error */
export function noticed(error) {
  if (outage.value) return;
  const pause = Math.min(2 ** (tries + 1), LONGEST);
  tries += 1;
  outage.set({ message: error.message, left: pause });
  clearInterval(clock);
  clock = setInterval(tick, 1000);
}

/** A request had an answer. */
export function answered() {
  if (outage.value) return;
  tries = 0;
}

function tick() {
  const now = outage.value;
  if (!now) return;
  if (now.left > 1) outage.set({ ...now, left: now.left - 1 });
  else void tryNow();
}

/** Asks whether the service is back. */
export async function tryNow() {
  const before = outage.value;
  clearInterval(clock);
  if (before) outage.set({ ...before, left: 0 });
  const signal = AbortSignal.timeout(1000 * LONGEST);
  const healthy = await fetch(new URL('healthcheck', base), { cache: 'no-store', signal }).then(
    (response) => response.ok,
    () => false,
  );
  outage.set(null);
  if (healthy) changed();
  else noticed(new Error(before?.message ?? 'The service does not answer.'));
}
