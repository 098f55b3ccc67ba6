// Loading what a component shows, and keeping it fresh.

import { useEffect, useLatest, useRef, useState } from './lib.js';
import { changes, outage } from './outage.js';

/** How often a list that is looked at is loaded again, in milliseconds. */
const FRESH = 15000;

/** @type {() => void} */
let begun = () => {};
/** Settled when the first table has loaded: what is less urgent waits for that. */
export const firstLoaded = new Promise((done) => {
  begun = () => done(undefined);
});

/**
 * @template T
 * @typedef {object} Loaded
 * @property {T | undefined} data what was loaded last for these inputs
 * @property {Error | undefined} error
 * @property {() => void} reload
 */

/**
 * Loads when an input changes, when records have changed, when the window is looked at again, and every
 * now and then unless a load is under way. What is there already stays while that happens.
 * @template T
 * @param {(alive: () => boolean) => Promise<T>} load
 * @param {unknown[]} inputs
 * @param {{every?: number}} [options]
 * @returns {Loaded<T>}
 */
export function useLoad(load, inputs, { every = FRESH } = {}) {
  const key = JSON.stringify(inputs);
  const [state, setState] = useState({ key: '', data: /** @type {T | undefined} */ (undefined), error: /** @type {Error | undefined} */ (undefined) });
  const [turn, setTurn] = useState(0);
  const latest = useLatest(load);
  // On a slow network a load may take longer than the time to the next one.
  const under = useRef(false);
  const reload = () => setTurn((value) => value + 1);

  useEffect(() => {
    let alive = true;
    under.current = true;
    const loading = latest.current(() => alive);
    loading.then(begun, begun);
    const end = (/** @type {Parameters<typeof setState>[0]} */ next) => {
      if (!alive) return;
      under.current = false;
      setState(next);
    };
    loading.then(
      (data) => end({ key, data, error: undefined }),
      (error) => end((now) => ({ key, data: now.key === key ? now.data : undefined, error })),
    );
    return () => {
      alive = false;
    };
  }, [key, turn]);

  useEffect(() => {
    const again = () => {
      if (document.visibilityState === 'visible' && !outage.value && !under.current) reload();
    };
    const clock = setInterval(again, every);
    const unsubscribe = changes.subscribe(reload);
    document.addEventListener('visibilitychange', again);
    addEventListener('focus', again);
    return () => {
      clearInterval(clock);
      unsubscribe();
      document.removeEventListener('visibilitychange', again);
      removeEventListener('focus', again);
    };
  }, []);

  const now = state.key === key ? state : { data: undefined, error: undefined };
  return { ...now, reload };
}

/**
 * An action that a button starts: what it is doing, and what went wrong.
 * @template {unknown[]} A
 * @param {(...inputs: A) => Promise<void>} action
 */
export function useAction(action) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {Error | undefined} */ (undefined));
  const running = useRef(false);
  /** Says whether it went well. @param {A} inputs */
  const run = async (...inputs) => {
    if (running.current) return false;
    running.current = true;
    setBusy(true);
    setError(undefined);
    const failed = await action(...inputs).then(() => undefined, (reason) => reason);
    running.current = false;
    setBusy(false);
    setError(failed);
    return failed === undefined;
  };
  return { busy, error, run };
}
