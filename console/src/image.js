// What an image is, beside the lists of images.

import * as api from './api.js';
import { Panel } from './dialog.js';
import { html } from './lib.js';
import { useKeys } from './keys.js';
import { useLoad } from './load.js';
import { change } from './route.js';
import { Copyable, ErrorNote, Project, Status, Time, Waiting } from './ui.js';

/** Why an image cannot be shared; empty if it can. @param {Image} image */
export function whyNotShareable({ visibility }) {
  if (visibility === 'shared') return '';
  if (visibility === 'private') return 'It is private. Give it the visibility “shared” first.';
  return `It is ${visibility}: everybody can use it already.`;
}

/** @param {{id: string, row: Invitation | undefined, actions: import('./lib.js').Children}} props */
export function ImagePanel({ id, row, actions }) {
  const close = () => change({ open: undefined });
  useKeys({ Escape: close });
  const { data, error, reload } = useLoad(() => api.image(id), [id]);
  const gone = api.isGone(error);
  const name = data?.name ?? row?.image_name ?? 'Image';
  return html`<${Panel} title=${html`<bdi>${name}</bdi>`} onClose=${close}>
    ${gone ? html`<p class="note">The owner has taken this image back.</p>` : html`<${ErrorNote} error=${error} retry=${reload} />`}
    ${!data && !error ? html`<${Waiting} rows=${6} />` : null}
    ${data && !gone ? html`<${Facts} image=${data} row=${row} />` : null}
    ${gone ? null : actions}
  <//>`;
}

/** @param {{image: Image, row?: Invitation | undefined}} props */
export function Facts({ image, row }) {
  /** @type {[string, import('./lib.js').Children][]} */
  const facts = [
    ['Id', html`<${Copyable} text=${image.id} what="the image's id" />`],
    ['Owner', html`<${Project} id=${image.owner} whole />`],
    ...(row ? /** @type {[string, import('./lib.js').Children][]} */ ([['Answer', html`<${Status} status=${row.status} />`]]) : []),
    ['State', image.status],
    ['Size', image.size === null ? 'unknown' : size(image.size)],
    ['Disk format', image.disk_format ?? 'unknown'],
    ['Needs', image.min_disk || image.min_ram ? `${image.min_disk} GB of disk, ${image.min_ram} MB of memory` : 'no minimum of disk or memory'],
    ...(image.__backup_id ? /** @type {[string, import('./lib.js').Children][]} */ ([['Made from', 'a backup of a server: a vault is needed']]) : []),
    ['Created', html`<${Time} at=${image.created_at} />`],
  ];
  return html`<dl class="facts">
    ${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
  </dl>`;
}

/** @param {number} bytes */
function size(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1);
  return `${(bytes / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}
