// How many members images have, by their answer.

import * as api from './api.js';
import { Missing } from './http.js';
import { each, html, number } from './lib.js';
import { useLoad } from './load.js';

/** @typedef {{accepted: number, pending: number, rejected: number}} Counts */

/** @param {{status: Answer}[]} members @returns {Counts} */
export function count(members) {
  const counts = { accepted: 0, pending: 0, rejected: 0 };
  for (const { status } of members) counts[status] += 1;
  return counts;
}

/** @param {Counts} counts */
export function total({ accepted, pending, rejected }) {
  return accepted + pending + rejected;
}

/**
 * The counts of these images. One request if all that the project shares fits in its answer, otherwise
 * one for each image.
 * @param {Image[] | undefined} images
 */
export function useCounts(images) {
  const ids = (images ?? []).filter(({ visibility }) => visibility === 'shared').map(({ id }) => id);
  const { data, error } = useLoad(async (alive) => countAll(ids, alive), [ids]);
  return error ? undefined : data;
}

/** @param {string[]} ids @param {() => boolean} alive */
async function countAll(ids, alive) {
  /** @type {Map<string, Counts>} */
  const counts = new Map();
  if (ids.length === 0) return counts;
  const page = await api.shares({ status: 'all', limit: api.MOST }).catch((error) => {
    if (error instanceof Missing) return null;
    throw error;
  });
  if (page && !page.next) {
    for (const id of ids) counts.set(id, count(page.rows.filter((row) => row.image_id === id)));
    return counts;
  }
  await each(ids, 6, async (id) => {
    if (!alive()) return;
    const { rows } = await api.all((query) => api.members(id, query), {});
    counts.set(id, count(rows));
  });
  return counts;
}

/**
 * Members by their answer, of as many as there may be.
 * @param {{counts: Counts, quota: number}} props
 */
export function Members({ counts, quota }) {
  const { accepted, pending, rejected } = counts;
  const all = total(counts);
  const whole = Number.isFinite(quota) ? Math.max(quota, all) : Math.max(all, 1);
  const of = Number.isFinite(quota) ? ` of ${number(quota)}` : '';
  const width = (/** @type {number} */ part) => ({ width: `${(100 * part) / whole}%` });
  return html`<span class="members">
    <span class="bar" role="img" aria-label=${`${accepted} accepted, ${pending} pending, ${rejected} rejected${of}`}
      title=${`${accepted} accepted, ${pending} pending, ${rejected} rejected${of}`}>
      ${accepted ? html`<i class="accepted" style=${width(accepted)}></i>` : null}
      ${pending ? html`<i class="pending" style=${width(pending)}></i>` : null}
      ${rejected ? html`<i class="rejected" style=${width(rejected)}></i>` : null}
    </span>
    <span>${number(all)}<span class="quiet">${of}</span></span>
  </span>`;
}
