// The keyboard: single keys, and `g` followed by a letter.

import { html, useEffect, useLatest } from './lib.js';
import { Dialog } from './dialog.js';

/** How long `g` waits for its letter, in milliseconds. */
const SEQUENCE = 1500;

/** @typedef {Record<string, () => void>} Keys */

/** @type {{current: {keys: Keys, within?: {current: Element | null}}}[]} The keys of what is on the page. */
const layers = [];
let began = 0;

/**
 * Keys while a component is on the page.
 * @param {Keys} keys
 * @param {{current: Element | null}} [within] the keys are for this element, and only while the focus is in it
 */
export function useKeys(keys, within) {
  const latest = useLatest({ keys, within });
  useEffect(() => {
    layers.push(latest);
    return () => {
      layers.splice(layers.indexOf(latest), 1);
    };
  }, []);
}

/** What a key does: first for what has the focus, then for the page, where the last component wins. @param {string} name */
function meaning(name) {
  const all = layers.map(({ current }) => current).filter(({ keys }) => keys[name]);
  const focused = all.findLast(({ within }) => within?.current?.contains(document.activeElement));
  return (focused ?? all.findLast(({ within }) => !within))?.keys[name];
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector('dialog[open]')) return;
  if (target instanceof HTMLElement && target.matches('input:not([type=checkbox], [type=radio]), textarea, select')) {
    if (key === 'Escape') target.blur();
    return;
  }
  if (target instanceof HTMLInputElement && key.startsWith('Arrow')) return;
  const after = Date.now() - began < SEQUENCE;
  began = 0;
  const name = after ? `g ${key}` : key;
  const act = meaning(name);
  if (act) {
    event.preventDefault();
    act();
  } else if (key === 'g') {
    began = Date.now();
  }
}
document.addEventListener('keydown', pressed);

const HELP = [
  ['j, k', 'next row, previous row'],
  ['Enter', 'open the row'],
  ['x', 'select the row'],
  ['a', 'accept the selection, or the image'],
  ['r', 'reject the selection, or the image'],
  ['u', 'undo the last answer'],
  ['s', 'share the selection, or the image'],
  ['n, p', 'next page, previous page'],
  ['/', 'go to the filter by name'],
  ['g s', 'go to Shared with me'],
  ['g m', 'go to My images'],
  ['g j', 'go to Jobs'],
  ['g t', 'open the trusted owners'],
  ['Esc', 'close what is open, or clear the selection'],
  ['?', 'show this'],
];

/** @param {{onClose: () => void}} props */
export function KeyboardHelp({ onClose }) {
  return html`<${Dialog} title="Keyboard" onClose=${onClose}>
    <dl class="keys">
      ${HELP.map(
        ([keys = '', what]) =>
          html`<div>
            <dt>${keys.split(', ').map((name, index) => html`${index ? ' ' : ''}<kbd>${name}</kbd>`)}</dt>
            <dd>${what}</dd>
          </div>`,
      )}
    </dl>
  <//>`;
}
