// A table with a row cursor (j, k), a selection that lasts over pages, and pages.

import { Away, Missing } from './http.js';
import { useKeys } from './keys.js';
import { Fragment, html, number, plural, useEffect, useLatest, useRef, useState, useStore } from './lib.js';
import { nextPage, previousPage, route } from './route.js';
import { announce, Button, ErrorNote, Icon, Waiting } from './ui.js';

/** @typedef {import('./lib.js').Children} Children */

/**
 * @template T
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: T) => Children} cell
 * @property {string} [kind] a class of its cells
 */

/**
 * What is selected, by id, over all pages of one filter.
 * @template T
 * @typedef {object} Selection
 * @property {Map<string, T>} rows
 * @property {(rows: Map<string, T>) => void} set
 */

/**
 * @template T
 * @param {string} filter the selection is forgotten when it changes
 * @returns {Selection<T>}
 */
export function useSelection(filter) {
  const [now, setNow] = useState({ filter, rows: /** @type {Map<string, T>} */ (new Map()) });
  const rows = now.filter === filter ? now.rows : new Map();
  return { rows, set: (next) => setNow({ filter, rows: next }) };
}

/**
 * @template T
 * @typedef {object} Props
 * @property {string} caption
 * @property {string} what one row
 * @property {Column<T>[]} columns
 * @property {T[] | undefined} rows
 * @property {(row: T) => string} id
 * @property {(row: T) => string} label
 * @property {Error | undefined} error
 * @property {() => void} reload
 * @property {string | null} next
 * @property {Selection<T>} [selection]
 * @property {string} [opened] the row whose panel is open
 * @property {(row: T) => void} onOpen
 * @property {(row: T) => string} [kind] a class of the row
 * @property {(row: T) => Record<string, () => void>} [keys] keys for the row that has the focus
 * @property {Children} empty
 */

/**
 * @template T
 * @param {Props<T>} props
 */
export function Table(props) {
  const { caption, columns, rows, id, label, selection, opened, onOpen, kind, error, reload } = props;
  const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null));
  const cursor = useCursor(props, body);
  useAnnounced(props);
  if (error && !rows) {
    return html`<${ErrorNote} error=${error} retry=${error instanceof Missing ? undefined : reload} />`;
  }
  if (!rows) return html`<${Waiting} />`;
  if (rows.length === 0) return html`${props.empty}<${Pager} next=${props.next} />`;
  const toggle = (/** @type {T} */ row) => selection?.set(toggled(selection.rows, id(row), row));
  return html`<${Fragment}>
    ${error && !(error instanceof Away) ? html`<${ErrorNote} error=${error} retry=${reload} />` : null}
    <div class="scroll">
      <table>
        <caption class="hidden">${caption}</caption>
        <thead>
          <tr>
            ${selection ? html`<th scope="col" class="check"><${SelectPage} rows=${rows} id=${id} selection=${selection} /></th>` : null}
            ${columns.map(({ title, kind }) => html`<th scope="col" class=${kind}>${title}</th>`)}
          </tr>
        </thead>
        <tbody ref=${body}>
          ${rows.map((row, index) => {
            const chosen = selection?.rows.has(id(row));
            const classes = [kind?.(row), chosen && 'chosen', opened === id(row) && 'opened'].filter(Boolean).join(' ');
            return html`<tr key=${id(row)} class=${classes} tabindex=${index === cursor.at ? 0 : -1}
              onFocusIn=${() => cursor.set(id(row))} onClick=${() => onOpen(row)}>
              ${selection
                ? html`<td class="check" onClick=${(/** @type {Event} */ event) => event.stopPropagation()}>
                    ${kind?.(row) === 'gone' ? null : html`<input type="checkbox" aria-label=${`Select ${label(row)}`} checked=${chosen} onChange=${() => toggle(row)} />`}
                  </td>`
                : null}
              ${columns.map(({ cell, kind, title }) => html`<td class=${kind} data-title=${title}>${cell(row)}</td>`)}
            </tr>`;
          })}
        </tbody>
      </table>
    </div>
    <${Pager} next=${props.next} count=${rows.length} />
  <//>`;
}

/**
 * Says what a filter or a page has brought. An empty list says itself that it is empty.
 * @template T
 * @param {Props<T>} props
 */
function useAnnounced({ rows, next, what }) {
  const page = Number(useStore(route).params.page ?? 1);
  useEffect(() => {
    if (!rows?.length) return;
    announce(page > 1 || next ? `Page ${number(page)}, ${plural(rows.length, 'row')}` : plural(rows.length, what));
  }, [Boolean(rows)]);
}

/**
 * @template T
 * @param {Map<string, T>} rows @param {string} id @param {T} row
 */
function toggled(rows, id, row) {
  const next = new Map(rows);
  if (!next.delete(id)) next.set(id, row);
  return next;
}

/**
 * The row that keys are for: the one that has the focus, wherever it moves in the list.
 * @template T
 * @param {Props<T>} props
 * @param {{current: HTMLTableSectionElement | null}} body
 */
function useCursor({ rows = [], id, selection, onOpen, keys }, body) {
  const [current, set] = useState('');
  const at = useRef(0);
  const found = rows.findIndex((row) => id(row) === current);
  const here = rows[found];
  // A row that has left keeps its place until the focus is elsewhere. Another page begins with its first row.
  at.current = here ? found : Math.max(0, Math.min(at.current, rows.length - 1));
  const inTable = () => body.current?.contains(document.activeElement);
  const move = (/** @type {number} */ step) => {
    const next = inTable() ? at.current + step : at.current;
    const element = body.current?.rows[Math.max(0, Math.min(next, body.current.rows.length - 1))];
    element?.focus();
    element?.scrollIntoView({ block: 'nearest' });
  };
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    n: () => /** @type {HTMLElement | null} */ (document.querySelector('[data-page=next]'))?.click(),
    p: () => /** @type {HTMLElement | null} */ (document.querySelector('[data-page=previous]'))?.click(),
  });
  const own = here && {
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => pressEnter(() => onOpen(here)),
    ...(selection ? { x: () => selection.set(toggled(selection.rows, id(here), here)) } : {}),
    ...keys?.(here),
  };
  useKeys(own ?? {}, body);
  return { at: at.current, set };
}

/** Enter on a button of the row is the button's own. @param {() => void} open */
function pressEnter(open) {
  const focused = document.activeElement;
  if (focused instanceof HTMLElement && focused.matches('button, a, input')) focused.click();
  else open();
}

/**
 * @template T
 * @param {{rows: T[], id: (row: T) => string, selection: Selection<T>}} props
 */
function SelectPage({ rows, id, selection }) {
  const chosen = rows.filter((row) => selection.rows.has(id(row))).length;
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    if (box.current) box.current.indeterminate = chosen > 0 && chosen < rows.length;
  });
  const toggle = () => {
    const next = new Map(selection.rows);
    for (const row of rows) {
      if (chosen === rows.length) next.delete(id(row));
      else next.set(id(row), row);
    }
    selection.set(next);
  };
  return html`<input type="checkbox" ref=${box} aria-label="Select this page" checked=${chosen === rows.length} onChange=${toggle} />`;
}

/** @param {{next: string | null, count?: number}} props */
function Pager({ next, count }) {
  const page = Number(useStore(route).params.page ?? 1);
  if (page === 1 && !next) return null;
  return html`<nav class="pager" aria-label="Pages">
    <button type="button" data-page="previous" disabled=${page === 1} onClick=${previousPage}><${Icon} name="previous" />Previous</button>
    <span>Page ${number(page)}${count ? html` · ${plural(count, 'row')}` : null}</span>
    <button type="button" data-page="next" disabled=${!next} onClick=${() => next && nextPage(next)}>Next<${Icon} name="next" /></button>
  </nav>`;
}

/**
 * The bar that a selection brings up. It offers to select what is on other pages too.
 * @template T
 * @param {{selection: Selection<T>, onPage: number, more: boolean, id: (row: T) => string, what: string,
 *   collect: () => Promise<{rows: T[], more: boolean}>, children?: Children}} props
 */
export function SelectionBar({ selection, onPage, more, id, what, collect, children }) {
  const [all, setAll] = useState(/** @type {{rows: T[], more: boolean} | null} */ (null));
  const offers = more && onPage > 0 && selection.rows.size >= onPage;
  const latest = useLatest(collect);
  useEffect(() => {
    setAll(null);
    if (offers) void latest.current().then(setAll, () => {});
  }, [offers]);
  if (selection.rows.size === 0) return null;
  const select = () => all && selection.set(new Map(all.rows.map((row) => [id(row), row])));
  const isAll = all && selection.rows.size >= all.rows.length;
  return html`<div class="selection" role="group" aria-label="Selection">
    <strong>${plural(selection.rows.size, what)} selected</strong>
    ${offers && !isAll
      ? html`<${Button} kind="link" busy=${!all} onClick=${select}>
          ${all ? `Select ${all.more ? 'the first' : 'all'} ${number(all.rows.length)}` : 'Counting all…'}
        <//>`
      : null}
    <span class="actions">${children}</span>
    <${Button} kind="link" onClick=${() => selection.set(new Map())}>Clear<//>
  </div>`;
}
