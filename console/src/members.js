// The members of one image, and taking it back from them.

import * as api from './api.js';
import { count, Members } from './counts.js';
import { Dialog, Panel } from './dialog.js';
import { Facts, whyNotShareable } from './image.js';
import { html, number, plural, random, useRef, useState, useStore } from './lib.js';
import { useKeys } from './keys.js';
import { useAction, useLoad } from './load.js';
import { nameOf, names } from './names.js';
import { changed } from './outage.js';
import { change } from './route.js';
import { whyReadOnly } from './session.js';
import { Button, ErrorNote, Project, Status, Time, told, Waiting } from './ui.js';
import { start } from './watch.js';

/** Members that are shown at first, and with each "more". */
const SHOWN = 100;
const STATUS = /** @type {const} */ (['accepted', 'pending', 'rejected']);

/** @param {{id: string, row: Image | undefined, quota: number, onShare: (image: Image) => void}} props */
export function MembersPanel({ id, row, quota, onShare }) {
  const close = () => change({ open: undefined });
  const loaded = useLoad(() => api.image(id), [id]);
  const image = loaded.data ?? row;
  const why = image && (whyReadOnly() || whyNotShareable(image));
  useKeys({ Escape: close, ...(image && !why ? { s: () => onShare(image) } : {}) });
  const name = image?.name || 'Image';
  return html`<${Panel} title=${html`<bdi>${name}</bdi>`} onClose=${close}>
    ${api.isGone(loaded.error) ? html`<p class="note">This image is no longer there.</p>` : html`<${ErrorNote} error=${image ? undefined : loaded.error} retry=${loaded.reload} />`}
    ${image ? html`<div class="actions"><${Button} kind="primary" why=${why} onClick=${() => onShare(image)}>Share…<//></div>` : null}
    ${image && !whyNotShareable(image) ? html`<${List} image=${image} quota=${quota} />` : null}
    ${image && whyNotShareable(image) ? html`<p class="note">${whyNotShareable(image)}</p>` : null}
    ${image ? html`<details class="more"><summary>About the image</summary><${Facts} image=${image} /></details>` : null}
  <//>`;
}

/** @param {{image: Image, quota: number}} props */
function List({ image, quota }) {
  useStore(names);
  const { data, error, reload } = useLoad((alive) => api.all((query) => api.members(image.id, query), {}, { alive }), [image.id]);
  const [status, setStatus] = useState('');
  const [text, setText] = useState('');
  const [shown, setShown] = useState(SHOWN);
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  const [ending, setEnding] = useState(/** @type {Member[] | null} */ (null));
  if (!data) return error ? html`<${ErrorNote} error=${error} retry=${reload} />` : html`<${Waiting} rows=${4} />`;
  if (data.rows.length === 0) return html`<p>Nobody has this image but your project.</p>`;
  const fits = (/** @type {Member} */ { member_id, status: own }) =>
    (!status || own === status) && (!text || member_id.includes(text) || nameOf(member_id).toLowerCase().includes(text.toLowerCase()));
  const rows = data.rows.filter(fits);
  const counts = count(data.rows);
  const why = whyReadOnly();
  const toggle = (/** @type {string} */ id) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const selected = data.rows.filter(({ member_id }) => chosen.has(member_id));
  const isAll = rows.length > 0 && rows.every(({ member_id }) => chosen.has(member_id));
  return html`<section class="memberlist" aria-label="Members">
    <${Members} counts=${counts} quota=${quota} />
    <div class="filters">
      ${STATUS.map(
        (name) => html`<button type="button" class=${`chip ${name}`} aria-pressed=${status === name} onClick=${() => setStatus(status === name ? '' : name)}>
          <${Status} status=${name} /> ${number(counts[name])}</button>`,
      )}
      <label class="text"><span class="hidden">Find a member</span>
        <input type="search" placeholder="Find a member" value=${text} spellcheck=${false} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
      </label>
    </div>
    ${selected.length
      ? html`<div class="selection" role="group" aria-label="Selected members"><strong>${plural(selected.length, 'member')} selected</strong>
          <span class="actions"><${Button} kind="danger" why=${why} onClick=${() => setEnding(selected)}>Unshare…<//></span></div>`
      : null}
    <table class="plain">
      <caption class="hidden">Members</caption>
      <thead><tr>
        <th scope="col" class="check"><input type="checkbox" aria-label="Select all members" checked=${isAll}
          onChange=${() => setChosen(new Set(isAll ? [] : rows.map(({ member_id }) => member_id)))} /></th>
        <th scope="col">Project</th><th scope="col">Status</th><th scope="col" class="since">Since</th><td></td>
      </tr></thead>
      <tbody>
        ${rows.slice(0, shown).map(
          (member) => html`<${Row} key=${member.member_id} member=${member} why=${why} chosen=${chosen.has(member.member_id)}
            onToggle=${() => toggle(member.member_id)} onUnshare=${() => setEnding([member])} />`,
        )}
      </tbody>
    </table>
    ${rows.length === 0 ? html`<p class="quiet">No member fits.</p>` : null}
    ${rows.length > shown ? html`<button type="button" class="link" onClick=${() => setShown(shown + SHOWN)}>Show ${number(Math.min(SHOWN, rows.length - shown))} more of ${number(rows.length)}</button>` : null}
    ${ending ? html`<${Unshare} image=${image} members=${ending} onClose=${() => setEnding(null)} onDone=${() => setChosen(new Set())} />` : null}
  </section>`;
}

/** @param {{member: Member, why: string, chosen: boolean, onToggle: () => void, onUnshare: () => void}} props */
function Row({ member: { member_id, status, updated_at }, why, chosen, onToggle, onUnshare }) {
  const name = nameOf(member_id) || member_id;
  return html`<tr>
    <td class="check"><input type="checkbox" aria-label=${`Select ${name}`} checked=${chosen} onChange=${onToggle} /></td>
    <td><${Project} id=${member_id} /></td>
    <td><${Status} status=${status} /></td>
    <td class="since"><${Time} at=${updated_at} /></td>
    <td class="act"><${Button} kind="link" why=${why} label=${`Unshare with ${name}`} onClick=${onUnshare}>Unshare…<//></td>
  </tr>`;
}

/**
 * Says what ends, then ends it.
 * @param {{image: Image, members: Member[], onClose: () => void, onDone: () => void}} props
 */
function Unshare({ image, members, onClose, onDone }) {
  useStore(names);
  const key = useRef(random());
  const name = image.name || image.id;
  const { accepted, pending, rejected } = count(members);
  const [only] = members;
  const who = members.length === 1 && only ? nameOf(only.member_id) || only.member_id : plural(members.length, 'project');
  const end = useAction(async () => {
    const projects = members.map(({ member_id }) => member_id);
    if (members.length === 1 && only) {
      await api.unshare(image.id, only.member_id).catch((error) => {
        if (!api.isGone(error)) throw error;
      });
      told(`${name} is no longer shared with ${who}.`);
    } else {
      await start({ method: 'DELETE', title: `Unshare ${name} with ${who}`, images: [image.id], projects }, key.current);
    }
    onDone();
    onClose();
    changed();
  });
  return html`<${Dialog} title=${html`Unshare <bdi>${name}</bdi> with <bdi>${who}</bdi>?`} onClose=${onClose}>
    <ul class="ends">
      ${accepted ? html`<li><${Status} status="accepted" /> ${plural(accepted, 'project')} ${accepted === 1 ? 'uses' : 'use'} the image and can no longer see it, at once.</li>` : null}
      ${pending ? html`<li><${Status} status="pending" /> ${plural(pending, 'project')} can no longer answer: the invitation is gone.</li>` : null}
      ${rejected ? html`<li><${Status} status="rejected" /> ${plural(rejected, 'project')} had rejected the image.</li>` : null}
    </ul>
    <p class="quiet">The image itself stays. If you share it again, they have to accept again.</p>
    <${ErrorNote} error=${end.error} retry=${end.run} />
    <footer>
      <${Button} autofocus onClick=${onClose}>Cancel<//>
      <${Button} kind="danger" busy=${end.busy} onClick=${end.run}>Unshare<//>
    </footer>
  <//>`;
}

