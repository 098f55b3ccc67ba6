// Requests to the API: who asks, what an error says, and whether the service is there at all.

import { base, Store } from './lib.js';
import * as outage from './outage.js';

/** How long a whole answer may take, in milliseconds. */
const PATIENCE = 60000;

/** @type {Store<Session | null>} Who is signed in. */
export const session = new Store(/** @type {Session | null} */ (null));

/** @type {Store<string>} Why the sign-in page is shown, if somebody was signed in before. */
export const ended = new Store('');

/** An answer that is not a success. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message @param {{code?: string, requestId?: string}} [more] */
  constructor(status, message, more = {}) {
    super(message);
    this.status = status;
    this.code = more.code ?? '';
    this.requestId = more.requestId ?? '';
  }
}

/** No answer, or one that says "later". */
export class Away extends ApiError {}

/** The server has no such call: it is older than this page. */
export class Missing extends ApiError {}

/**
 * A path of the API, with each value as one segment.
 * @param {TemplateStringsArray} parts
 * @param {...string} values
 */
export function path(parts, ...values) {
  return String.raw({ raw: parts }, ...values.map(encodeURIComponent));
}

/**
 * @typedef {object} Options
 * @property {Record<string, string | number | null | undefined>} [query]
 * @property {unknown} [body]
 * @property {Record<string, string>} [headers]
 */

/**
 * Sends a request of the signed-in user.
 * @param {string} method
 * @param {string} target a path below the API's address
 * @param {Options} [options]
 * @returns {Promise<{data: any, headers: Headers}>}
 */
export async function request(method, target, options = {}) {
  const headers = { ...options.headers, 'X-Auth-Token': session.value?.token ?? '' };
  try {
    const answer = await send(method, new URL(target, base), { ...options, headers });
    outage.answered();
    return answer;
  } catch (error) {
    if (error instanceof Away) outage.noticed(error);
    else outage.answered();
    if (error instanceof ApiError && error.status === 401) {
      ended.set('Your session has ended.');
      session.set(null);
    }
    throw error;
  }
}

/** Any answer, whole. @param {URL} url @param {RequestInit} [request] */
export async function ask(url, request) {
  try {
    const response = await fetch(url, { ...request, cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
    return { response, text: await response.text() };
  } catch {
    // None, or one that was cut.
    throw new Away(0, 'The service does not answer.');
  }
}

/**
 * Sends a request and reads its answer.
 * @param {string} method
 * @param {URL} url
 * @param {Options} options
 */
export async function send(method, url, { query = {}, body, headers = {} }) {
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') url.searchParams.set(name, String(value));
  }
  const sent = { Accept: 'application/json', ...headers };
  if (body !== undefined) Object.assign(sent, { 'Content-Type': 'application/json' });
  const { response, text } = await ask(url, { method, headers: sent, body: JSON.stringify(body) });
  const data = parsed(text);
  if (response.ok) return { data, headers: response.headers };
  throw failure(response, data);
}

/** @param {string} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {Response} response @param {any} data */
function failure(response, data) {
  const { status, headers } = response;
  const error = data?.error;
  const message = error?.message ?? data?.message ?? `The service answered ${status}.`;
  const more = { code: error?.code ?? '', requestId: headers.get('x-openstack-request-id') ?? '' };
  // What no route has is answered with the choice of versions.
  if (status === 300) return new Missing(status, 'This server is older than this page and cannot do this yet.');
  if (status >= 502 && status <= 504) return new Away(status, message, more);
  return new ApiError(status, String(message), more);
}
