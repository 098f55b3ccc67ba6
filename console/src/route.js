// The address of the page: `#/tab?filter=…&page=…`. It is all that a reload or a link needs.

import { keep, kept, Store } from './lib.js';

export const TABS = /** @type {const} */ (['shared', 'images', 'jobs']);

/** @typedef {{tab: string, params: Record<string, string>}} Route */

/** @returns {Route} */
function current() {
  const [tab = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const known = TABS.some((name) => name === tab);
  return { tab: known ? tab : 'shared', params: Object.fromEntries(new URLSearchParams(query)) };
}

/** @type {Store<Route>} */
export const route = new Store(current());
addEventListener('hashchange', () => route.set(current()));

/** @param {string} tab @param {Record<string, string | undefined>} [params] */
export function address(tab, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) query.set(name, value);
  const text = query.toString();
  return `#/${tab}${text ? `?${text}` : ''}`;
}

/** @param {string} tab @param {Record<string, string | undefined>} [params] */
export function go(tab, params) {
  location.hash = address(tab, params);
}

/** Changes some parameters of the address. @param {Record<string, string | undefined>} params */
export function change(params) {
  go(route.value.tab, { ...route.value.params, ...params });
}

/** Changes a filter: the list begins anew. @param {Record<string, string | undefined>} params */
export function filter(params) {
  change({ ...params, page: undefined, after: undefined, open: undefined });
}

/** The pages before this one, by the marker that each began after. */
function trail() {
  const { tab, params } = route.value;
  const { page, after, open, ...filters } = params;
  return { name: `pages ${address(tab, filters)}`, page: Number(page ?? 1) };
}

/** @param {string} marker */
export function nextPage(marker) {
  const { name, page } = trail();
  const markers = /** @type {string[]} */ (kept(name) ?? []);
  markers[page] = marker;
  keep(name, markers);
  change({ page: String(page + 1), after: marker, open: undefined });
}

/** Goes back one page, or to the first one if nobody knows how that page began. */
export function previousPage() {
  const { name, page } = trail();
  const marker = /** @type {string[]} */ (kept(name) ?? [])[page - 2];
  if (page > 2 && marker) change({ page: String(page - 1), after: marker, open: undefined });
  else change({ page: undefined, after: undefined, open: undefined });
}
