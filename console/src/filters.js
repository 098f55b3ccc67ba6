// Filters above a table; what they say is kept in the address.

import { html, useEffect, useRef, useState } from './lib.js';
import { filter } from './route.js';
import { Icon } from './ui.js';

/** One of these options; the first one if the address says something else. @param {string[][]} options @param {string} [value] */
export function option(options, value) {
  return (options.find(([name]) => name === value) ?? options[0])?.[0] ?? '';
}

/**
 * One of a few values.
 * @param {{label: string, name: string, value: string, options: string[][]}} props
 */
export function Choice({ label, name, value, options }) {
  return html`<fieldset class="choice">
    <legend class="hidden">${label}</legend>
    ${options.map(
      ([option, text]) =>
        html`<label class=${option === value ? 'chosen' : ''}>
          <input type="radio" name=${name} value=${option} checked=${option === value} onChange=${() => filter({ [name]: option })} />${text}
        </label>`,
    )}
  </fieldset>`;
}

/**
 * A text, taken when the user stops typing.
 * @param {{label: string, name: string, value: string, shown?: string, search?: boolean,
 *   onText?: (text: string) => Promise<string> | string}} props `shown` is the value as people know it
 */
export function TextFilter({ label, name, value, shown = value, search, onText = (text) => text }) {
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  const text = typed ?? shown;
  const sent = useRef(value);
  useEffect(() => {
    // Changed by something else, such as a link or the way back.
    if (value !== sent.current) setTyped(null);
    sent.current = value;
  }, [value]);
  useEffect(() => {
    if (typed === null) return undefined;
    const clock = setTimeout(async () => {
      const next = await onText(typed.trim());
      if (next === sent.current) return;
      sent.current = next;
      filter({ [name]: next });
    }, 350);
    return () => clearTimeout(clock);
  }, [typed]);
  return html`<label class=${search ? 'text search' : 'text'}>
    <span class="hidden">${label}</span>
    ${search ? html`<${Icon} name="search" />` : null}
    <input type="search" placeholder=${label} value=${text} data-search=${search ? '' : undefined} spellcheck=${false}
      autocomplete="off" onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />
    ${search ? html`<kbd aria-hidden="true">/</kbd>` : null}
  </label>`;
}
