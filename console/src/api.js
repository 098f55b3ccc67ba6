// The calls of the public API that the console makes, one function each.

import { ApiError, path, request, session } from './http.js';
import { random, readable } from './lib.js';

/** Rows on a page of a table. */
export const PAGE = 50;
/** The most rows that one answer has. */
export const MOST = 1000;
/** The most entries of one batch. */
export const BATCH = 10000;

function project() {
  return session.value?.project.id ?? '';
}

/** @typedef {Record<string, string | number | null | undefined>} Query */

/** @param {Query} query @returns {Promise<Page<Invitation>>} */
export async function invitations(query) {
  const { data } = await request('GET', path`v1/${project()}/cloudimages/invitations`, { query });
  const rows = /** @type {Invitation[]} */ (data.invitations);
  return { rows: rows.map((row) => ({ ...row, image_name: readable(row.image_name) })), next: data.page_info.next_marker ?? null };
}

/** @param {Query} query @returns {Promise<Page<Invitation>>} */
export async function shares(query) {
  const { data } = await request('GET', path`v1/${project()}/cloudimages/shares`, { query });
  return { rows: data.shares, next: data.page_info.next_marker ?? null };
}

/** @param {string} id @returns {Promise<Image>} */
export async function image(id) {
  return named((await request('GET', path`v2/images/${id}`)).data);
}

/** @param {Image} image */
function named(image) {
  return { ...image, name: readable(image.name) };
}

/** The project's own images. @param {Query} query @returns {Promise<Page<Image>>} */
export async function images(query) {
  return visible({ owner: project(), sort_key: 'created_at', sort_dir: 'desc', ...query });
}

/** Images that the project may see. @param {Query} query @returns {Promise<Page<Image>>} */
async function visible(query) {
  const { data } = await request('GET', 'v2/images', { query });
  const next = data.next ? new URL(data.next, document.baseURI).searchParams.get('marker') : null;
  return { rows: data.images.map(named), next };
}

/** Names by id, of those images that the project may see. @param {string[]} ids */
export async function imageNames(ids) {
  const { rows } = await all(visible, { id: `in:${ids.join()}`, member_status: 'all' });
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** @param {string} id @param {Query} query @returns {Promise<Page<Member>>} */
export async function members(id, query) {
  const { data } = await request('GET', path`v1/${project()}/cloudimages/${id}/members`, { query });
  return { rows: data.members, next: data.page_info.next_marker ?? null };
}

/** The most members that an image may have; `Infinity` if there is no such limit. */
export async function memberQuota() {
  const { data } = await request('GET', 'v1/cloudimages/quota');
  const resources = /** @type {{type: string, quota: number}[]} */ (data.quotas.resources);
  const quota = resources.find(({ type }) => type === 'image_member')?.quota ?? -1;
  return quota < 0 ? Infinity : quota;
}

/** @param {string} id @param {string} status @param {string} [vault] */
export async function answer(id, status, vault) {
  const body = { status, ...(vault ? { vault_id: vault } : {}) };
  await request('PUT', path`v2/images/${id}/members/${project()}`, { body });
}

/** @param {string} id @param {string} member */
export async function share(id, member) {
  return (await request('POST', path`v2/images/${id}/members`, { body: { member } })).data;
}

/** @param {string} id @param {string} member */
export async function unshare(id, member) {
  await request('DELETE', path`v2/images/${id}/members/${member}`);
}

/**
 * Sends a batch, and returns its job's id. The key makes it safe to send it again when it is not known
 * whether it arrived.
 * @param {Batch} batch
 * @param {string} [key]
 */
export async function batch(batch, key = random()) {
  const { method, images, projects, status, vault_id } = batch;
  const body =
    method === 'PUT'
      ? { images, project_id: project(), status, ...(vault_id ? { vault_id } : {}) }
      : { images, projects };
  const { data } = await request(method, 'v1/cloudimages/members', { body, headers: { 'Idempotency-Key': key } });
  return /** @type {string} */ (data.job_id);
}

/** @param {Query} query @returns {Promise<Page<Job>>} */
export async function jobs(query) {
  const { data } = await request('GET', path`v1/${project()}/jobs`, { query });
  return { rows: data.jobs, next: data.page_info.next_marker ?? null };
}

/** @param {string} id @param {Query} [query] @returns {Promise<Job>} */
export async function job(id, query = { limit: 1 }) {
  return (await request('GET', path`v1/${project()}/jobs/${id}`, { query })).data;
}

/** @returns {Promise<{rules: Rule[], etag: string}>} */
export async function trustedOwners() {
  const { data, headers } = await request('GET', path`v1/${project()}/cloudimages/trusted-owners`);
  return { rules: data.rules, etag: headers.get('etag') ?? '' };
}

/** @param {Rule[]} rules @param {string} etag what they were before */
export async function trustOwners(rules, etag) {
  const headers = { 'If-Match': etag };
  await request('PUT', path`v1/${project()}/cloudimages/trusted-owners`, { body: { rules }, headers });
}

/** How often a page is asked to go on before it is shown with fewer rows than it could have. */
const TRIES = 20;

/**
 * A page of a table. The service may end a page early when a filter leaves rows out, even without any
 * row: then it goes on.
 * @template T
 * @param {(query: Query) => Promise<Page<T>>} load
 * @param {Query} query
 * @returns {Promise<Page<T>>}
 */
export async function page(load, query) {
  let page = await load({ ...query, limit: PAGE });
  for (let tries = 0; page.next && page.rows.length < PAGE && tries < TRIES; tries += 1) {
    const more = await load({ ...query, limit: PAGE - page.rows.length, marker: page.next });
    page = { rows: [...page.rows, ...more.rows], next: more.next };
  }
  return page;
}

/**
 * Reads pages until there are no more or `most` rows are there.
 * @template T
 * @param {(query: Query) => Promise<Page<T>>} load
 * @param {Query} query
 * @param {{most?: number, alive?: () => boolean}} [options]
 */
export async function all(load, query, { most = BATCH, alive = () => true } = {}) {
  /** @type {T[]} */
  const rows = [];
  /** @type {string | null} */
  let next = null;
  do {
    /** @type {Page<T>} */
    const page = await load({ ...query, limit: Math.min(MOST, most), marker: next });
    rows.push(...page.rows);
    next = page.next;
  } while (next && rows.length < most && alive());
  return { rows: rows.slice(0, most), more: next !== null || rows.length > most };
}

/** @param {string} id @param {'failed'} [status] @returns {Promise<Result[]>} */
export async function results(id, status) {
  const load = async (/** @type {Query} */ query) => {
    const { entities } = await job(id, { ...query, status });
    return { rows: entities.results ?? [], next: entities.page_info?.next_marker ?? null };
  };
  const { rows } = await all(load, {});
  return status ? rows.filter((row) => row.status === status) : rows;
}

/** Whether an image is no longer there for this project. @param {unknown} error */
export function isGone(error) {
  return error instanceof ApiError && error.status === 404;
}
