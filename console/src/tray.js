// The corner with the jobs that were started in this tab. It stays over tabs and reloads.

import { html, number, useState, useStore } from './lib.js';
import { Repeat, remaining } from './job.js';
import { go } from './route.js';
import { Icon, Progress } from './ui.js';
import { dismiss, isOver, outcome, started, useJob } from './watch.js';

/** Jobs that are shown; older ones are behind a button. */
const SHOWN = 3;

/** @param {{opened: string | undefined}} props the job whose panel is open: it need not be here too */
export function Tray({ opened }) {
  const jobs = useStore(started).filter(({ id }) => id !== opened);
  const [whole, setWhole] = useState(false);
  if (jobs.length === 0) return null;
  const newest = [...jobs].reverse();
  const shown = whole ? newest : newest.slice(0, SHOWN);
  const rest = jobs.length - SHOWN;
  return html`<section class="tray" aria-label="Jobs started here">
    ${shown.map((job) => html`<${Entry} key=${job.id} ...${job} />`)}
    ${rest > 0
      ? html`<button type="button" class="link" onClick=${() => setWhole(!whole)}>${whole ? 'Show fewer' : `Show ${number(rest)} more`}</button>`
      : null}
  </section>`;
}

/** @param {import('./watch.js').Started} props */
function Entry({ id, batch }) {
  const { job, error, rate } = useJob(id);
  const entries = job?.entities ?? { total: 0, succeeded: 0, failed: 0 };
  const over = job && isOver(job);
  const left = entries.total - entries.succeeded - entries.failed;
  const said = over ? outcome(job) : job ? `${number(entries.total - left)} of ${number(entries.total)} · ${remaining(left, rate)}` : error?.message ?? 'Starting';
  return html`<article class=${over ? (entries.failed ? 'failed' : 'done') : 'running'}>
    <header>
      <h2>${batch.title}</h2>
      ${over || error
        ? html`<button type="button" class="icon" aria-label=${`Dismiss ${batch.title}`} onClick=${() => dismiss(id)}><${Icon} name="close" /></button>`
        : null}
    </header>
    <${Progress} done=${entries.succeeded} failed=${entries.failed} total=${entries.total} label=${batch.title} />
    <p>
      <span>${over ? html`<${Icon} name=${entries.failed ? 'warning' : 'accepted'} />` : null}${said}</span>
      <button type="button" class="link" onClick=${() => go('jobs', { open: id })}>Details</button>
    </p>
    ${over && entries.failed ? html`<div class="actions"><${Repeat} job=${job} /></div>` : null}
  </article>`;
}
