// Trusted owners: projects whose images are accepted, or rejected, in the moment they are shared.

import * as api from './api.js';
import { Panel } from './dialog.js';
import { ApiError } from './http.js';
import { html, useState, useStore } from './lib.js';
import { useKeys } from './keys.js';
import { useAction, useLoad } from './load.js';
import { find, nameOf, names } from './names.js';
import { change } from './route.js';
import { whyReadOnly } from './session.js';
import { announce, Button, ErrorNote, Icon, Project, Waiting } from './ui.js';

/** The most rules of a project. */
const MOST = 100;

export function Trusted() {
  const close = () => change({ open: undefined });
  useKeys({ Escape: close });
  const { data, error, reload } = useLoad(() => api.trustedOwners(), []);
  const why = whyReadOnly();
  const save = useAction(async (/** @type {Rule[]} */ rules) => {
    if (!data) return;
    try {
      await api.trustOwners(rules, data.etag);
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 412) {
        throw new ApiError(412, 'Somebody else has changed these rules meanwhile. They are loaded again: repeat your change.', failure);
      }
      throw failure;
    } finally {
      reload();
    }
  });
  const rules = data?.rules ?? [];
  useStore(names);
  const called = (/** @type {string} */ owner) => nameOf(owner) || owner;
  const put = async (/** @type {Rule} */ rule) => {
    const done = await save.run([...rules.filter(({ owner }) => owner !== rule.owner), rule]);
    if (done) announce(`What ${called(rule.owner)} shares is ${rule.mode}ed at once.`);
    return done;
  };
  const remove = async (/** @type {string} */ gone) => {
    if (await save.run(rules.filter(({ owner }) => owner !== gone))) announce(`What ${called(gone)} shares waits for your answer.`);
  };
  return html`<${Panel} title="Trusted owners" onClose=${close}>
    <p class="quiet">What these projects share with yours from now on is answered at once. What they have shared before stays as it is.</p>
    <${ErrorNote} error=${error ?? save.error} />
    ${!data && !error ? html`<${Waiting} rows=${3} />` : null}
    ${data ? html`<${Add} why=${why || (rules.length >= MOST ? `There are ${MOST} rules already, as many as there may be.` : '')} busy=${save.busy} onAdd=${put} />` : null}
    ${data && rules.length === 0 ? html`<p>You trust no owner yet.</p>` : null}
    ${rules.length > 0
      ? html`<table class="plain">
          <thead><tr><th scope="col">Owner</th><th scope="col">Its images are</th><td></td></tr></thead>
          <tbody>
            ${rules.map(
              ({ owner, mode }) => html`<tr key=${owner}>
                <td><${Project} id=${owner} /></td>
                <td>${mode === 'accept' ? 'accepted' : 'rejected'}</td>
                <td class="act"><${Button} kind="icon" why=${why} busy=${save.busy} label=${`Remove the rule for ${called(owner)}`}
                  onClick=${() => remove(owner)}><${Icon} name="close" /><//></td>
              </tr>`,
            )}
          </tbody>
        </table>`
      : null}
  <//>`;
}

/** @param {{why: string, busy: boolean, onAdd: (rule: Rule) => Promise<boolean>}} props */
function Add({ why, busy, onAdd }) {
  const [text, setText] = useState('');
  const [mode, setMode] = useState(/** @type {Rule['mode']} */ ('accept'));
  const [problem, setProblem] = useState('');
  const add = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (why || !text.trim()) return;
    const { state, id } = await find(text.trim());
    if (state === 'unknown') return setProblem('No project has this id or name.');
    if (state === 'ambiguous') return setProblem('Several projects have this name: use the id.');
    setProblem('');
    if (await onAdd({ owner: id, mode })) setText('');
    return undefined;
  };
  return html`<form class="add" onSubmit=${add}>
    <label class="field">Project
      <input value=${text} placeholder="id or name" spellcheck=${false} autocomplete="off" aria-describedby="add-problem"
        onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    </label>
    <label class="field">Images are
      <select value=${mode} onChange=${(/** @type {any} */ event) => setMode(event.target.value)}>
        <option value="accept">accepted</option>
        <option value="reject">rejected</option>
      </select>
    </label>
    <${Button} type="submit" why=${why} busy=${busy}>Add<//>
    <p id="add-problem" class="problem" role="alert">${problem}</p>
  </form>`;
}
