// The page before a session.

import { ended } from './http.js';
import { html, kept, keep, useEffect, useLayoutEffect, useRef, useState, useStore } from './lib.js';
import { useAction } from './load.js';
import { identityService, signIn, useToken } from './session.js';
import { Button, ErrorNote, Icon } from './ui.js';
import { Logo } from './logo.js';

/** @typedef {Record<'project' | 'user' | 'password' | 'projectDomain' | 'userDomain' | 'token', string>} Fields */

const EMPTY = { project: '', user: '', password: '', projectDomain: 'Default', userDomain: 'Default', token: '' };

export function SignIn() {
  const [identity, setIdentity] = useState('');
  const [byToken, setByToken] = useState(false);
  const [fields, setFields] = useState(/** @type {Fields} */ ({ ...EMPTY, ...kept('login') }));
  const why = useStore(ended);
  const find = useAction(async () => setIdentity(await identityService()));
  const enter = useAction(async () => {
    const { password, token, ...login } = fields;
    const service = identity || (await identityService());
    if (byToken) await useToken(service, token.trim(), fields.project.trim());
    else await signIn({ identity: service, password, ...login });
    // So that whoever signs in again need not type everything.
    keep('login', login);
  });
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  useEffect(() => void find.run(), []);
  useLayoutEffect(() => [...(form.current?.querySelectorAll('input') ?? [])].find(({ value }) => !value)?.focus(), [byToken]);
  const field = (/** @type {keyof Fields} */ name, /** @type {string} */ label, /** @type {object} */ more = {}) =>
    html`<label class="field">${label}
      <input name=${name} value=${fields[name]} spellcheck=${false} autocapitalize="none"
        onInput=${(/** @type {any} */ event) => setFields((now) => ({ ...now, [name]: event.target.value }))} ...${more} />
    </label>`;
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void enter.run();
  };
  return html`<main class="signin">
    <form ref=${form} onSubmit=${submit} aria-labelledby="signin-title">
      <h1 id="signin-title"><${Logo} />imshare</h1>
      <p class="quiet">Share machine images between the projects of a cloud.</p>
      ${why ? html`<p class="note"><${Icon} name="warning" />${why} Sign in again to go on where you were.</p>` : null}
      ${byToken
        ? html`${field('token', 'Token', { type: 'password', required: true, autocomplete: 'off' })}
            ${field('project', 'Project id, if the identity service cannot be asked', { autocomplete: 'off' })}`
        : html`${field('project', 'Project', { required: true, autocomplete: 'organization' })}
            ${field('user', 'User', { required: true, autocomplete: 'username' })}
            ${field('password', 'Password', { type: 'password', required: true, autocomplete: 'current-password' })}
            <details><summary>Domains</summary>
              ${field('projectDomain', 'Domain of the project')}${field('userDomain', 'Domain of the user')}
            </details>`}
      <${ErrorNote} error=${enter.error ?? (identity ? undefined : find.error)} retry=${enter.error ? undefined : find.run} />
      <${Button} kind="primary" type="submit" busy=${enter.busy}>Sign in<//>
      <p class="foot">
        <${Button} kind="link" onClick=${() => setByToken(!byToken)}>${byToken ? 'Use a password' : 'Use a token'}<//>
        <span class="quiet">${identity ? html`Identity service <code>${new URL(identity).host}</code>. ` : ''}You stay signed in in this tab only.</span>
      </p>
    </form>
  </main>`;
}
