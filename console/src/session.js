// Signing in and out. A session lives in this tab and ends with it.

import { ApiError, ask, Away, ended, send, session } from './http.js';
import { base, keep, kept } from './lib.js';

session.set(kept('session'));
session.subscribe(() => keep('session', session.value));

/** The address of the identity service, as the API itself names it to whoever has no token. */
export async function identityService() {
  const { response } = await ask(new URL('v2/images?limit=1', base));
  const named = /uri="([^"]+)"/.exec(response.headers.get('www-authenticate') ?? '');
  return versioned(named?.[1] ?? new URL('identity/v3', base).href);
}

/** @param {string} address the service's address, with its version or without */
function versioned(address) {
  const plain = address.replace(/\/+$/, '');
  return plain.endsWith('/v3') ? plain : `${plain}/v3`;
}

/**
 * @typedef {object} Login
 * @property {string} identity
 * @property {string} project
 * @property {string} user
 * @property {string} password
 * @property {string} projectDomain
 * @property {string} userDomain
 */

/** @param {Login} login */
export async function signIn({ identity, project, user, password, projectDomain, userDomain }) {
  const domain = (/** @type {string} */ name) => ({ name: name || 'Default' });
  const auth = {
    identity: { methods: ['password'], password: { user: { name: user, domain: domain(userDomain), password } } },
    scope: { project: { name: project, domain: domain(projectDomain) } },
  };
  const url = new URL(`${identity}/auth/tokens`);
  const { data, headers } = await send('POST', url, { body: { auth } }).catch((error) => {
    // The browser does not say whether nobody answers, or whether this page may not see the answer.
    if (error instanceof Away && error.status === 0) {
      throw new Away(0, `The identity service ${url.host} does not answer this page. Try again, or use a token.`);
    }
    throw error instanceof ApiError && error.status === 401
      ? new ApiError(401, 'The project, the user or the password is wrong.', error)
      : error;
  });
  const token = headers.get('x-subject-token');
  if (!token) {
    throw new ApiError(0, `${url.origin} does not show its tokens to this page: paste a token instead.`);
  }
  start(token, identity, data.token);
}

/**
 * Signs in with a token. If the identity service cannot say whose it is, the project is the one that
 * the user names.
 * @param {string} identity
 * @param {string} token
 * @param {string} project
 */
export async function useToken(identity, token, project) {
  const headers = { 'X-Auth-Token': token, 'X-Subject-Token': token };
  try {
    const { data } = await send('GET', new URL(`${identity}/auth/tokens`), { headers });
    start(token, identity, data.token);
  } catch (error) {
    const refused = error instanceof ApiError && [401, 404].includes(error.status);
    if (refused) throw new ApiError(401, 'The token is not valid, or has expired.', error);
    if (!project) {
      throw new ApiError(0, `${new URL(identity).origin} does not tell this page whose token this is: name its project too.`);
    }
    const url = new URL(`v1/${encodeURIComponent(project)}/jobs`, base);
    await send('GET', url, { query: { limit: 1 }, headers: { 'X-Auth-Token': token } });
    ended.set('');
    session.set({ token, identity: '', user: '', project: { id: project, name: '' }, roles: null });
  }
}

/** @param {string} token @param {string} identity @param {any} said what the identity service says of it */
function start(token, identity, said) {
  if (!said.project) throw new ApiError(0, 'The token is for no project: this page needs one that is.');
  ended.set('');
  session.set({
    token,
    identity,
    user: said.user.name,
    project: { id: said.project.id, name: said.project.name },
    roles: said.roles.map((/** @type {{name: string}} */ role) => role.name.toLowerCase()),
  });
}

/** Forgets all that this tab has kept. */
export function signOut() {
  sessionStorage.clear();
  ended.set('');
  session.set(null);
  location.hash = '';
}

/** Why the signed-in user may change nothing; empty if it may. */
export function whyReadOnly() {
  const roles = session.value?.roles;
  if (!roles || !roles.includes('reader')) return '';
  const changing = roles.some((role) => role !== 'reader' && role !== 'service');
  return changing ? '' : 'Your role in this project is reader: you can look at everything and change nothing.';
}
