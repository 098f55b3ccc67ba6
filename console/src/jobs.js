// The tab Jobs: every batch of this project, the newest first.

import * as api from './api.js';
import { html, number } from './lib.js';
import { JobPanel } from './job.js';
import { useLoad } from './load.js';
import { kindOf } from './repeat.js';
import { change, filter } from './route.js';
import { Table } from './table.js';
import { Empty, Progress, Time } from './ui.js';
import { Choice, option } from './filters.js';
import { isOver, outcome, sent } from './watch.js';

const STATUS = [['', 'All'], ['RUNNING', 'Running'], ['SUCCESS', 'Succeeded'], ['FAIL', 'Failed']];

/** @param {{params: Record<string, string>}} props */
export function Jobs({ params }) {
  const { after, open } = params;
  const status = option(STATUS, params.status);
  const page = useLoad(() => api.page(api.jobs, { status, marker: after }), [status, after], { every: 3000 });
  return html`<div class="work">
    <section class="list" aria-label="Jobs">
      <div class="filters">
        <${Choice} label="Status" name="status" value=${status} options=${STATUS} />
      </div>
      <${Table} caption="Jobs" what="job" columns=${COLUMNS} rows=${page.data?.rows} next=${page.data?.next ?? null}
        error=${page.error} reload=${page.reload}
        id=${(/** @type {Job} */ job) => job.job_id} label=${(/** @type {Job} */ job) => `${kindOf(job.job_type)} ${job.job_id}`}
        opened=${open} onOpen=${(/** @type {Job} */ job) => change({ open: job.job_id })}
        empty=${html`<${Empty} title=${status ? 'No job has this status' : 'No jobs yet'}>
          ${status
            ? html`<button type="button" onClick=${() => filter({ status: '' })}>Show all jobs</button>`
            : html`<p>A job starts when you share, answer or unshare for several images or projects at once. Jobs are kept for seven days after their end.</p>`}
        <//>`} />
    </section>
    ${open ? html`<${JobPanel} key=${open} id=${open} />` : null}
  </div>`;
}

/** @type {import('./table.js').Column<Job>[]} */
const COLUMNS = [
  { title: 'Job', kind: 'main', cell: (job) => html`<span class="name">${sent(job.job_id)?.title ?? kindOf(job.job_type)}</span> <code class="id" title=${job.job_id}>${job.job_id.slice(0, 10)}</code>` },
  { title: 'Entries', kind: 'number', cell: (job) => number(job.entities.total) },
  { title: 'Progress', kind: 'wide', cell: (job) => html`<${Progress} done=${job.entities.succeeded} failed=${job.entities.failed} total=${job.entities.total} label="Progress" />` },
  { title: 'Result', cell: (job) => (isOver(job) ? outcome(job) : 'running') },
  { title: 'Started', cell: (job) => html`<${Time} at=${job.begin_time} />` },
  { title: 'Took', kind: 'number', cell: (job) => took(job) },
];

/** @param {Job} job */
function took({ begin_time, end_time }) {
  if (!end_time) return '';
  const seconds = (Date.parse(end_time) - Date.parse(begin_time)) / 1000;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
