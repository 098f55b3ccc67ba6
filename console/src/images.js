// The tab "My images": what this project shares, and with whom.

import * as api from './api.js';
import { Members, useCounts } from './counts.js';
import { Choice, option, TextFilter } from './filters.js';
import { whyNotShareable } from './image.js';
import { html, useState } from './lib.js';
import { useKeys } from './keys.js';
import { useLoad } from './load.js';
import { MembersPanel } from './members.js';
import { change, filter } from './route.js';
import { whyReadOnly } from './session.js';
import { draft, ShareDialog } from './share.js';
import { SelectionBar, Table, useSelection } from './table.js';
import { Button, Empty, Name, Time } from './ui.js';

const VISIBILITY = [['', 'All'], ['shared', 'Shared'], ['private', 'Private'], ['public', 'Public']];

/** @typedef {import('./share.js').Named} Named */

/** @param {Image} image */
const idOf = (image) => image.id;
/** @param {Image} image */
const nameOf = (image) => image.name || image.id;

/** @param {{params: Record<string, string>}} props */
export function Images({ params }) {
  const { name = '', after, open } = params;
  const visibility = option(VISIBILITY, params.visibility);
  const query = { visibility, name };
  const filters = JSON.stringify(query);
  const page = useLoad(() => api.page(api.images, { ...query, marker: after }), [query, after]);
  const quota = useLoad(() => api.memberQuota(), [], { every: 300000 }).data ?? Infinity;
  const counts = useCounts(page.data?.rows);
  /** @type {import('./table.js').Selection<Image>} */
  const selection = useSelection(filters);
  const [sharing, setSharing] = useState(() => /** @type {Named[] | null} */ (draft()?.images ?? null));
  const readOnly = whyReadOnly();
  const rows = page.data?.rows;
  const chosen = [...selection.rows.values()];
  const shareable = chosen.filter((image) => !whyNotShareable(image));
  /** @param {Image | undefined} image @returns {import('./keys.js').Keys} */
  const keys = (image) => {
    const about = chosen.length ? shareable : image && !whyNotShareable(image) ? [image] : [];
    return readOnly || about.length === 0 ? {} : { s: () => setSharing(about) };
  };
  useKeys({ Escape: () => (open ? change({ open: undefined }) : selection.set(new Map())), ...keys(undefined) });

  /** @type {import('./table.js').Column<Image>[]} */
  const columns = [
    { title: 'Image', kind: 'main', cell: (image) => html`<${Name} name=${image.name} id=${image.id} />` },
    { title: 'Visibility', cell: (image) => image.visibility },
    { title: 'Members', kind: 'wide', cell: (image) => html`<${Counted} image=${image} counts=${counts?.get(image.id)} quota=${quota} />` },
    { title: 'Created', cell: (image) => html`<${Time} at=${image.created_at} />` },
    {
      title: 'Share',
      kind: 'act',
      cell: (image) => html`<${Button} why=${readOnly || whyNotShareable(image)} label=${`Share ${nameOf(image)}`} onClick=${() => setSharing([image])}>Share…<//>`,
    },
  ];
  const opened = rows?.find((image) => image.id === open);
  return html`<div class="work">
    <section class="list" aria-label="My images">
      <div class="filters">
        <${Choice} label="Visibility" name="visibility" value=${visibility} options=${VISIBILITY} />
        <${TextFilter} label="Exact name" name="name" value=${name} search />
      </div>
      <${SelectionBar} selection=${selection} onPage=${rows?.length ?? 0} more=${Boolean(page.data?.next || after)} id=${idOf} what="image"
        collect=${() => api.all(api.images, query)}>
        ${shareable.length < chosen.length ? html`<span class="quiet">${chosen.length - shareable.length} cannot be shared</span>` : null}
        <${Button} kind="primary" why=${readOnly || (shareable.length ? '' : 'None of these images can be shared.')} onClick=${() => setSharing(shareable)}>Share…<//>
      <//>
      <${Table} caption="Images of this project" what="image" columns=${columns} rows=${rows} next=${page.data?.next ?? null}
        error=${page.error} reload=${page.reload} id=${idOf} label=${nameOf} selection=${selection}
        opened=${open} onOpen=${(/** @type {Image} */ image) => change({ open: image.id })}
        keys=${keys}
        empty=${html`<${Nothing} visibility=${visibility} name=${name} />`} />
    </section>
    ${open ? html`<${MembersPanel} key=${open} id=${open} row=${opened} quota=${quota} onShare=${(/** @type {Image} */ image) => setSharing([image])} />` : null}
    ${sharing ? html`<${ShareDialog} images=${sharing} quota=${quota} onClose=${() => setSharing(null)} onDone=${() => selection.set(new Map())} />` : null}
  </div>`;
}

/** @param {{image: Image, counts: import('./counts.js').Counts | undefined, quota: number}} props */
function Counted({ image, counts, quota }) {
  if (whyNotShareable(image)) return html`<span class="quiet">–</span>`;
  return counts ? html`<${Members} counts=${counts} quota=${quota} />` : html`<span class="quiet">counting</span>`;
}

/** @param {{visibility: string, name: string}} props */
function Nothing({ visibility, name }) {
  if (visibility || name) {
    return html`<${Empty} title="No image fits these filters">
      ${name ? html`<p>A name must be the whole name.</p>` : null}
      <button type="button" onClick=${() => filter({ visibility: '', name: '' })}>Clear the filters</button>
    <//>`;
  }
  return html`<${Empty} title="This project has no images">
    <p>Create one with any image client, for example <code>openstack image create debian-12</code>. It appears here, ready to be shared.</p>
  <//>`;
}
