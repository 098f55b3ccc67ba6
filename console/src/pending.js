// What waits for an answer: the banner, and accepting all of it.

import * as api from './api.js';
import { Dialog } from './dialog.js';
import { html, number, plural, random, useRef, useState, useStore } from './lib.js';
import { firstLoaded, useAction, useLoad } from './load.js';
import { changed } from './outage.js';
import { address, route } from './route.js';
import { whyReadOnly } from './session.js';
import { Button, ErrorNote, Project } from './ui.js';
import { start } from './watch.js';

/** How often it is counted again, in milliseconds: that takes a request for each 1,000 images. */
const EVERY = 30000;

/** All images that wait, as many as one batch takes. */
export function usePending() {
  const load = async (/** @type {() => boolean} */ alive) => {
    await firstLoaded;
    return api.all(api.invitations, { status: 'pending' }, { alive });
  };
  return useLoad(load, [], { every: EVERY });
}

/** @param {{rows: Invitation[], more: boolean}} props */
export function Banner({ rows, more }) {
  const [asks, setAsks] = useState(false);
  const { tab, params } = useStore(route);
  const seen = tab === 'shared' && (params.status ?? 'pending') === 'pending';
  const owners = countBy(rows);
  if (rows.length === 0) return null;
  const images = rows.length === 1 ? '1 image' : `${more ? 'More than ' : ''}${number(rows.length)} images`;
  return html`<section class="banner" aria-label="Waiting for your answer">
    <p><strong>${images}</strong> from ${owners.length === 1 ? html`<${Project} id=${owners[0]?.owner} />` : plural(owners.length, 'project')} ${rows.length === 1 ? 'waits' : 'wait'} for your answer.</p>
    <${Button} kind="primary" why=${whyReadOnly()} onClick=${() => setAsks(true)}>Accept all<//>
    ${seen ? null : html`<a href=${address('shared')}>Look at them</a>`}
    ${asks ? html`<${AcceptAll} rows=${rows} more=${more} owners=${owners} onClose=${() => setAsks(false)} />` : null}
  </section>`;
}

/** @param {Invitation[]} rows */
function countBy(rows) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { owner } of rows) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return [...counts].map(([owner, count]) => ({ owner, count })).sort((a, b) => b.count - a.count);
}

/** @param {{rows: Invitation[], more: boolean, owners: {owner: string, count: number}[], onClose: () => void}} props */
function AcceptAll({ rows, more, owners, onClose }) {
  const key = useRef(random());
  // What is asked is what is sent, whatever arrives meanwhile.
  const asked = useRef({ rows, owners }).current;
  const accept = useAction(async () => {
    const title = `Accept ${plural(asked.rows.length, 'image')}`;
    await start({ method: 'PUT', title, images: asked.rows.map((row) => row.image_id), status: 'accepted' }, key.current);
    changed();
    onClose();
  });
  return html`<${Dialog} title=${`Accept ${plural(asked.rows.length, 'image')}?`} onClose=${onClose}>
    <p>They appear in the image list of your project.${more ? ' These are as many as one job takes; the others stay.' : ''}</p>
    <ul class="owners">
      ${asked.owners.slice(0, 12).map(({ owner, count }) => html`<li><${Project} id=${owner} /> <span class="quiet">${plural(count, 'image')}</span></li>`)}
      ${asked.owners.length > 12 ? html`<li class="quiet">and ${plural(asked.owners.length - 12, 'more project')}</li>` : null}
    </ul>
    <${ErrorNote} error=${accept.error} retry=${accept.run} />
    <footer>
      <${Button} autofocus onClick=${onClose}>Cancel<//>
      <${Button} kind="primary" busy=${accept.busy} onClick=${accept.run}>Accept ${plural(asked.rows.length, 'image')}<//>
    </footer>
  <//>`;
}
