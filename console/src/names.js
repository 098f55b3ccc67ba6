// Names of projects, asked from the identity service one by one and remembered.

import { ApiError, send, session } from './http.js';
import { readable, Store } from './lib.js';

/** @typedef {{id: string, name: string}} Project */

/** @type {Map<string, string>} Names by id; empty for a project without a name that we know. */
const known = new Map();
/** @type {Set<string>} */
const asked = new Set();
/** @type {string[]} */
const waiting = [];
let running = 0;

/** Drawn again when a name has arrived. */
export const names = new Store(0);

/** Whether the identity service lets this user look projects up. */
let allowed = true;

session.subscribe(() => {
  allowed = true;
  known.clear();
  asked.clear();
});

/** The name of a project, as soon as it is known. @param {string} id */
export function nameOf(id) {
  if (session.value?.project.id === id) return session.value.project.name;
  if (!asked.has(id) && allowed && session.value?.identity) {
    asked.add(id);
    waiting.push(id);
    if (running < 4) void work();
  }
  return known.get(id) ?? '';
}

async function work() {
  running += 1;
  for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
    await byId(id).catch(() => null);
    names.set(names.value + 1);
  }
  running -= 1;
}

/** @param {string} target @param {Record<string, string>} [query] */
async function ask(target, query) {
  const current = session.value;
  if (!current?.identity) throw new ApiError(403, 'There is no identity service to ask.');
  const url = new URL(`${current.identity}/${target}`);
  return (await send('GET', url, { query, headers: { 'X-Auth-Token': current.token } })).data;
}

/** @param {string} id @returns {Promise<Project | null>} */
async function byId(id) {
  try {
    const { project } = await ask(`projects/${encodeURIComponent(id)}`);
    known.set(id, readable(project.name));
    return { id: project.id, name: readable(project.name) };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    if (error instanceof ApiError && error.status === 403) allowed = false;
    throw error;
  }
}

/**
 * @typedef {object} Found
 * @property {'found' | 'unknown' | 'ambiguous' | 'unchecked'} state
 * @property {string} id
 * @property {string} name
 */

/** @type {Map<string, Found>} */
const found = new Map();
session.subscribe(() => found.clear());

/** Finds a project by its id or its name. @param {string} text @returns {Promise<Found>} */
export async function find(text) {
  const before = found.get(text);
  if (before) return before;
  const result = await look(text);
  if (result.state !== 'unchecked') found.set(text, result);
  return result;
}

/** @param {string} text @returns {Promise<Found>} */
async function look(text) {
  try {
    const own = await byId(text);
    if (own) return { state: 'found', id: own.id, name: own.name };
    const { projects } = await ask('projects', { name: text });
    const [first, second] = /** @type {Project[]} */ (projects);
    if (second) return { state: 'ambiguous', id: '', name: text };
    if (!first) return { state: 'unknown', id: '', name: text };
    known.set(first.id, readable(first.name));
    return { state: 'found', id: first.id, name: readable(first.name) };
  } catch {
    // Users of a Keystone may often not look projects up. Then only ids can be meant.
    return { state: 'unchecked', id: text, name: '' };
  }
}
