// Keeps the focus on the page: when the element that has it is removed, the next one gets it. The browser
// would give it to nobody, and whoever works by keyboard would begin at the top again.

/**
 * @typedef {object} Place where the focus is
 * @property {Element} element
 * @property {HTMLTableRowElement | null} row
 * @property {HTMLTableSectionElement | null} rows
 * @property {number} at the row's place among the rows
 * @property {Element | null} panel
 */

/** @type {Place | null} */
let last = null;

document.addEventListener('focusin', ({ target }) => {
  if (!(target instanceof Element)) return;
  const row = /** @type {HTMLTableRowElement | null} */ (target.closest('tbody tr'));
  const rows = /** @type {HTMLTableSectionElement | null} */ (target.closest('tbody'));
  last = { element: target, row, rows, at: row?.sectionRowIndex ?? 0, panel: target.closest('.panel') };
});

// Given up by the user, such as by a click beside everything: then nothing else gets it.
document.addEventListener('focusout', () => {
  queueMicrotask(() => {
    if (last?.element.isConnected && document.activeElement === document.body) last = null;
  });
});

new MutationObserver(() => {
  if (last?.element.isConnected) last.at = last.row?.sectionRowIndex ?? 0;
  else if (last && document.activeElement === document.body) next(last)?.focus();
}).observe(document.body, { childList: true, subtree: true });

/** @param {Place} place of what was removed */
function next({ element, rows, at, panel }) {
  /** @type {(selector: string, within?: ParentNode | null) => HTMLElement | null | undefined} */
  const find = (selector, within = document) => within?.querySelector(selector);
  if (find('dialog[open]')) return find('dialog[open] [autofocus]') ?? find('dialog[open] button');
  const row = rows?.isConnected ? rows.rows[Math.min(at, rows.rows.length - 1)] : null;
  const near = row?.matches('[tabindex]') ? row : find(element.localName, row ?? null);
  if (near) return near;
  if (panel?.isConnected) return find('h2', panel);
  if (element.closest('.signin')) return find('h1');
  // The rows of another page arrive in a moment.
  if (find('.list .waiting')) return null;
  return find('.list tbody [tabindex="0"]') ?? find('.panel h2') ?? find('h1');
}
