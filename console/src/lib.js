// What every module needs of the two libraries, and the store that components share.

import { h, Fragment, render } from '../vendor/preact.js';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from '../vendor/hooks.js';
import htm from '../vendor/htm.js';

export { Fragment, render, useEffect, useLayoutEffect, useMemo, useRef, useState };

/** @typedef {import('preact').ComponentChildren} Children */

/** The API's address: the page is at `…/console`, wherever that is. */
export const base = new URL('.', document.baseURI);

/** Templates: what they make are text nodes and attributes, so no name can become markup. */
export const html = htm.bind(h);

/**
 * A value that components outside of one tree share.
 * @template T
 */
export class Store {
  /** @param {T} value */
  constructor(value) {
    this.value = value;
    /** @type {Set<() => void>} */
    this.listeners = new Set();
  }

  /** @param {T} value */
  set(value) {
    this.value = value;
    for (const listener of [...this.listeners]) listener();
  }

  /** @param {() => void} listener */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }
}

/**
 * The value of a store; the component is drawn again when it changes.
 * @template T
 * @param {Store<T>} store
 * @returns {T}
 */
export function useStore(store) {
  const [, redraw] = useState(0);
  useLayoutEffect(() => store.subscribe(() => redraw((count) => count + 1)), [store]);
  return store.value;
}

/**
 * The value of the last drawing, for handlers that are registered once.
 * @template T
 * @param {T} value
 */
export function useLatest(value) {
  const latest = useRef(value);
  latest.current = value;
  return latest;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

const numbers = new Intl.NumberFormat('en');

/** @param {number} value */
export function number(value) {
  return numbers.format(value);
}

/**
 * Calls `work` for each item, at most `width` at the same time.
 * @template T
 * @param {T[]} items
 * @param {number} width
 * @param {(item: T) => Promise<void>} work
 */
export async function each(items, width, work) {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}

/**
 * A name as it can be read safely: signs that only turn or hide others are shown as what they are, so
 * that no name looks like another one.
 * @param {string | null | undefined} name
 */
export function readable(name) {
  return (name ?? '').replace(/[\p{Cc}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu, '\ufffd').trim();
}

/** Random hexadecimal digits; unlike `randomUUID`, also on a page without TLS. */
export function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @param {string} name @returns {any} what this tab has kept under the name */
export function kept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`imshare.${name}`) ?? 'null');
  } catch {
    return null;
  }
}

/** @param {string} name @param {unknown} value */
export function keep(name, value) {
  if (value === null) sessionStorage.removeItem(`imshare.${name}`);
  else sessionStorage.setItem(`imshare.${name}`, JSON.stringify(value));
}
