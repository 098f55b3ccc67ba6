// The tab "Shared with me": images of other projects, and the answers to them.

import { nameOf, useAnswering, useGone } from './answering.js';
import * as api from './api.js';
import { Choice, option, TextFilter } from './filters.js';
import { session } from './http.js';
import { ImagePanel } from './image.js';
import { html, useStore } from './lib.js';
import { useKeys } from './keys.js';
import { useLoad } from './load.js';
import { find, nameOf as projectName, names } from './names.js';
import { address, change, filter } from './route.js';
import { whyReadOnly } from './session.js';
import { SelectionBar, Table, useSelection } from './table.js';
import { Trusted } from './trusted.js';
import { Button, Copyable, Empty, Name, Project, Status, Time } from './ui.js';

const STATUS = [['pending', 'Waiting'], ['accepted', 'Accepted'], ['rejected', 'Rejected'], ['all', 'All']];

/** @param {Invitation} row */
const idOf = (row) => row.image_id;

/** @param {{params: Record<string, string>}} props */
export function Shared({ params }) {
  const { owner = '', name = '', after, open } = params;
  const status = option(STATUS, params.status);
  const query = { status, owner, name };
  const filters = JSON.stringify(query);
  const page = useLoad(() => api.page(api.invitations, { ...query, marker: after }), [query, after]);
  /** @type {import('./table.js').Selection<Invitation>} */
  const selection = useSelection(filters);
  const gone = useGone(page.data?.rows, filters + (after ?? ''), (left) => {
    // On a full page they may have moved to the next one.
    const whole = !page.data?.next && !after;
    const rest = [...selection.rows].filter(([id]) => !left.some((row) => row.image_id === id));
    if (whole && rest.length < selection.rows.size) selection.set(new Map(rest));
  });
  const answering = useAnswering(gone, selection);
  const { answer } = answering;
  const why = whyReadOnly();
  const rows = gone.rows;
  const chosen = [...selection.rows.values()].filter((row) => !gone.has(row));
  const trusts = open === 'trusted';
  const shown = rows?.find((row) => row.image_id === open);
  /** @param {Invitation | undefined} row @returns {import('./keys.js').Keys} */
  const keys = (row) => {
    const about = chosen.length ? chosen : row && !gone.has(row) ? [row] : [];
    if (why || trusts || about.length === 0) return {};
    return { a: () => answer('accepted', about), r: () => answer('rejected', about) };
  };
  useKeys({ Escape: () => (open ? change({ open: undefined }) : selection.set(new Map())), ...keys(shown) });

  const actions = (/** @type {Invitation} */ row) => html`<${Answers} row=${row} isGone=${gone.has(row)} why=${why} answering=${answering} />`;
  const columns = columnsOf(gone, actions);
  return html`<div class="work">
    <section class="list" aria-label="Shared with me">
      <div class="filters">
        <${Choice} label="Status" name="status" value=${status} options=${STATUS} />
        <${TextFilter} label="Exact name" name="name" value=${name} search />
        <${OwnerFilter} owner=${owner} />
        <button type="button" class="last" aria-expanded=${trusts} onClick=${() => change({ open: trusts ? undefined : 'trusted' })}>Trusted owners</button>
      </div>
      <${SelectionBar} selection=${selection} onPage=${rows?.length ?? 0} more=${Boolean(page.data?.next || after)} id=${idOf} what="image"
        collect=${() => api.all(api.invitations, query)}>
        <${Button} kind="primary" why=${why} onClick=${() => answer('accepted', chosen)}>Accept<//>
        <${Button} why=${why} onClick=${() => answer('rejected', chosen)}>Reject<//>
      <//>
      ${answering.parts}
      <${Table} caption="Images that are shared with this project" what="image" columns=${columns} rows=${rows} next=${page.data?.next ?? null}
        error=${page.error} reload=${page.reload} id=${idOf} label=${nameOf} selection=${selection}
        opened=${open} onOpen=${(/** @type {Invitation} */ row) => change({ open: row.image_id })}
        kind=${(/** @type {Invitation} */ row) => (gone.has(row) ? 'gone' : '')}
        keys=${keys}
        empty=${html`<${Nothing} status=${status} owner=${owner} name=${name} />`} />
    </section>
    ${trusts ? html`<${Trusted} />` : null}
    ${open && !trusts ? html`<${ImagePanel} key=${open} id=${open} row=${shown} actions=${shown && actions(shown)} />` : null}
  </div>`;
}

/**
 * @param {import('./answering.js').Gone} gone
 * @param {(row: Invitation) => import('./lib.js').Children} actions
 * @returns {import('./table.js').Column<Invitation>[]}
 */
function columnsOf(gone, actions) {
  return [
    { title: 'Image', kind: 'main', cell: (row) => html`<${Name} name=${row.image_name} id=${row.image_id} />` },
    { title: 'From', cell: (row) => html`<${Project} id=${row.owner} />` },
    { title: 'Status', cell: (row) => (gone.has(row) ? null : html`<${Status} status=${row.status} />`) },
    { title: 'Shared', cell: (row) => html`<${Time} at=${row.created_at} />` },
    { title: 'Answer', kind: 'act', cell: actions },
  ];
}

/** @param {{row: Invitation, isGone: boolean, why: string, answering: ReturnType<typeof useAnswering>}} props */
function Answers({ row, isGone, why, answering: { answer, busy } }) {
  if (isGone) return html`<span class="quiet">the owner has taken this image back</span>`;
  const button = (/** @type {import('./answering.js').Given} */ given, /** @type {string} */ word) =>
    row.status === given
      ? null
      : html`<${Button} why=${why} busy=${busy(row)} label=${`${word} ${nameOf(row)}`} onClick=${() => answer(given, [row])}>${word}<//>`;
  return html`<span class="actions">${button('accepted', 'Accept')}${button('rejected', 'Reject')}</span>`;
}

/** @param {{owner: string}} props */
function OwnerFilter({ owner }) {
  useStore(names);
  const toId = async (/** @type {string} */ text) => (text ? (await find(text)).id || text : '');
  const shown = owner ? projectName(owner) || owner : '';
  return html`<${TextFilter} label="Owner" name="owner" value=${owner} shown=${shown} onText=${toId} />`;
}

/** @param {{status: string, owner: string, name: string}} props */
function Nothing({ status, owner, name }) {
  // Looked up before by the filter, unless the address came from elsewhere.
  const { data: found } = useLoad(async () => (owner ? find(owner) : null), [owner], { every: 3600000 });
  if (owner || name) {
    if (found === undefined) return null;
    const title = { unknown: `No project is called “${owner}”`, ambiguous: `Several projects are called “${owner}”: use the id` };
    return html`<${Empty} title=${title[/** @type {keyof typeof title} */ (found?.state)] ?? 'No image fits these filters'}>
      ${name ? html`<p>A name must be the whole name.</p>` : null}
      <button type="button" onClick=${() => filter({ owner: '', name: '' })}>Clear the filters</button>
    <//>`;
  }
  if (status === 'pending') {
    return html`<${Empty} title="Nothing waits for your answer">
      <p>When another project shares an image with yours, it appears here. You can also <a href=${address('shared', { open: 'trusted' })}>trust an owner</a>: what it shares is then accepted at once.</p>
      <p><a href=${address('shared', { status: 'accepted' })}>Look at the images you have accepted</a></p>
    <//>`;
  }
  const what = status === 'all' ? 'No image is shared with this project' : `No image is ${status}`;
  return html`<${Empty} title=${what}>
    <p>To get one, tell its owner the id of your project: <${Copyable} text=${session.value?.project.id} what="the project's id" /></p>
  <//>`;
}
