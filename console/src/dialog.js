// Dialogs (modal) and side panels (beside the table).

import { html, useLayoutEffect, useRef } from './lib.js';
import { Icon } from './ui.js';

/** @typedef {import('./lib.js').Children} Children */

/**
 * A modal dialog. The browser keeps the focus inside, and it gives the focus back.
 * @param {{title: Children, onClose: () => void, wide?: boolean, children?: Children}} props
 */
export function Dialog({ title, onClose, wide, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  // At once, so that the first key that is typed gets there.
  useLayoutEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      dialog.current?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    onClose();
  };
  // The browser lets a page refuse to close once, and then closes it unasked: so Esc does not get that far.
  const pressed = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === 'Escape' && !event.isComposing) cancel(event);
  };
  return html`<dialog ref=${dialog} class=${wide ? 'wide' : ''} aria-labelledby="dialog-title" onCancel=${cancel} onKeyDown=${pressed}>
    <header>
      <h2 id="dialog-title">${title}</h2>
      <button type="button" class="icon" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>
    </header>
    ${children}
  </dialog>`;
}

/**
 * A panel beside the table. It takes the focus when it opens, and gives it back.
 * @param {{title: Children, onClose: () => void, children?: Children}} props
 */
export function Panel({ title, onClose, children }) {
  const heading = useRef(/** @type {HTMLHeadingElement | null} */ (null));
  useLayoutEffect(() => {
    const before = document.activeElement;
    heading.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return html`<aside class="panel" aria-labelledby="panel-title">
    <header>
      <h2 id="panel-title" tabindex="-1" ref=${heading}>${title}</h2>
      <button type="button" class="icon" aria-label="Close panel" onClick=${onClose}><${Icon} name="close" /></button>
    </header>
    ${children}
  </aside>`;
}
