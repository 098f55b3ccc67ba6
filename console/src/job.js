// A job in detail: how far it is, why entries failed, and what can be done about it.

import * as api from './api.js';
import { Panel } from './dialog.js';
import { html, number, plural, random, useRef, useState } from './lib.js';
import { useAction, useLoad } from './load.js';
import { useKeys } from './keys.js';
import { again, csv, download, kindOf, reasons } from './repeat.js';
import { address, change } from './route.js';
import { whyReadOnly } from './session.js';
import { Button, Copyable, ErrorNote, Icon, Progress, Project, Time, Waiting } from './ui.js';
import { VaultDialog } from './vault.js';
import { isOver, outcome, sent, start, useJob } from './watch.js';

/** Failed entries that are shown of each reason. */
const SHOWN = 20;
/** Images that are asked for by name, as many as one address has room for. */
const NAMED = 100;
/** An image that was made from a backup was accepted without a vault, or with an unusable one. */
const VAULT = ['IMG.0184', 'IMG.0188'];
/** What may well succeed another time: the service has failed, or a vault is chosen. Other reasons stay until somebody acts. */
const HELPS = ['IMG.0112', 'IMG.0113', ...VAULT];

/** @param {{id: string}} props */
export function JobPanel({ id }) {
  const close = () => change({ open: undefined });
  useKeys({ Escape: close });
  const { job, error, rate } = useJob(id);
  const title = sent(id)?.title ?? (job ? kindOf(job.job_type) : 'Job');
  return html`<${Panel} title=${title} onClose=${close}>
    ${!job && !error ? html`<${Waiting} rows=${4} />` : null}
    ${job ? html`<${Detail} job=${job} rate=${rate} />` : null}
    ${api.isGone(error) ? html`<p>This project has no such job. Jobs are kept for seven days after their end.</p>` : html`<${ErrorNote} error=${job ? undefined : error} />`}
  <//>`;
}

/** @param {{job: Job, rate: number}} props */
function Detail({ job, rate }) {
  const { total, succeeded, failed } = job.entities;
  const left = total - succeeded - failed;
  return html`<div class="job">
    <${Progress} done=${succeeded} failed=${failed} total=${total} label="Progress of the job" />
    <dl class="figures">
      <div><dt>Done</dt><dd>${number(succeeded)}</dd></div>
      <div><dt>Failed</dt><dd class=${failed ? 'bad' : ''}>${number(failed)}</dd></div>
      <div><dt>Left</dt><dd>${number(left)}</dd></div>
      <div><dt>Rate</dt><dd>${isOver(job) ? '–' : `${number(Math.round(rate))}/s`}</dd></div>
    </dl>
    <p class="quiet">
      ${isOver(job) ? outcome(job) : remaining(left, rate)} · started <${Time} at=${job.begin_time} />
    </p>
    <p class="quiet">Job <${Copyable} text=${job.job_id} what="the job's id" /></p>
    <${Actions} job=${job} />
    ${failed ? html`<${Failures} job=${job} />` : null}
  </div>`;
}

/** @param {number} left @param {number} rate */
export function remaining(left, rate) {
  if (rate < 0.1) return 'Waiting for the next entries';
  const seconds = Math.ceil(left / rate);
  return seconds < 60 ? `${seconds} s left` : `${Math.ceil(seconds / 60)} min left`;
}

/** @param {{job: Job}} props */
function Actions({ job }) {
  const save = useAction(async () => download(`job-${job.job_id}.csv`, csv(await api.results(job.job_id))));
  return html`<div class="actions">
    <${Repeat} job=${job} />
    <${Button} busy=${save.busy} onClick=${save.run}>Save results as CSV<//>
    <${ErrorNote} error=${save.error} retry=${save.run} />
  </div>`;
}

/**
 * Repeats what failed. What cannot be known is asked for: a vault, or the answer of a job that another
 * tab has started.
 * @param {{job: Job}} props
 */
export function Repeat({ job }) {
  const [asks, setAsks] = useState(/** @type {'' | 'vault' | 'answer'} */ (''));
  const keys = useRef(/** @type {string[]} */ ([]));
  const known = sent(job.job_id);
  const look = useAction(async () => {
    const failed = answers(job) ? await api.results(job.job_id, 'failed') : [];
    if (failed.some(({ error_code }) => VAULT.includes(error_code ?? ''))) setAsks('vault');
    else if (answers(job) && !known?.status) setAsks('answer');
    else void repeat.run(known?.status ? { status: known.status, vault_id: known.vault_id } : {});
  });
  const repeat = useAction(async (/** @type {{status?: 'accepted' | 'rejected', vault_id?: string}} */ answer) => {
    const failed = await api.results(job.job_id, 'failed');
    for (const [index, batch] of again(job, failed, answer).entries()) {
      const key = (keys.current[index] ??= random());
      await start(batch, key);
    }
    keys.current = [];
  });
  if (!isOver(job) || !job.entities.failed || kindOf(job.job_type) === 'Set members') return null;
  const begin = () => look.run();
  const give = (/** @type {{status: 'accepted' | 'rejected', vault_id?: string}} */ answer) => {
    setAsks('');
    void repeat.run(answer);
  };
  return html`
    <${Button} kind=${HELPS.includes(job.error_code ?? '') ? 'primary' : ''} why=${whyReadOnly()} busy=${look.busy || repeat.busy} onClick=${begin}>
      ${answers(job) && VAULT.includes(job.error_code ?? '') ? 'Choose a vault and repeat' : 'Repeat what failed'}
    <//>
    <${ErrorNote} error=${look.error ?? repeat.error} retry=${begin} />
    ${asks === 'vault' ? html`<${VaultDialog} count=${job.entities.failed} onClose=${() => setAsks('')} onVault=${(/** @type {string} */ vault_id) => give({ status: 'accepted', vault_id })} />` : null}
    ${asks === 'answer'
      ? html`<p class="question">Which answer shall be given?
          <${Button} onClick=${() => give({ status: 'accepted' })}>Accept<//>
          <${Button} onClick=${() => give({ status: 'rejected' })}>Reject<//></p>`
      : null}`;
}

/** An image with a link to its panel. @param {{id: string, name: string | null | undefined, tab: string}} props */
function Failed({ id, name, tab }) {
  const link = (/** @type {import('./lib.js').Children} */ text) => html`<a href=${address(tab, { open: id })}>${text}</a>`;
  const code = html`<code class="id">${id}</code>`;
  return name ? html`${link(html`<bdi>${name}</bdi>`)} ${code}` : link(code);
}

/** Whether a job gives answers, rather than invitations. @param {Job} job */
function answers({ job_type }) {
  return job_type === 'imsUpdateImageMembersJob';
}

/** @param {{job: Job}} props */
function Failures({ job }) {
  const { data, error, reload } = useLoad(() => api.results(job.job_id, 'failed'), [job.job_id, job.entities.failed], { every: 3600000 });
  const groups = reasons(data ?? []);
  const ids = [...new Set(groups.flatMap(({ rows }) => rows.slice(0, SHOWN).map((row) => row.image_id)))].slice(0, NAMED);
  const named = useLoad(async () => (ids.length ? api.imageNames(ids) : new Map()), [ids], { every: 3600000 });
  if (!data) return error ? html`<${ErrorNote} error=${error} retry=${reload} />` : html`<${Waiting} rows=${3} />`;
  const tab = answers(job) ? 'shared' : 'images';
  return html`<section class="failures" aria-label="Failures by reason">
    <h3>Why entries failed</h3>
    ${groups.map(
      ({ reason, code, rows }, index) => html`<details open=${index === 0}>
        <summary><${Icon} name="warning" /><span>${reason} ${code ? html`<code>${code}</code>` : null}</span><b>${number(rows.length)}</b></summary>
        <table class="plain">
          <thead><tr><th scope="col">Image</th><th scope="col">Project</th></tr></thead>
          <tbody>
            ${rows.slice(0, SHOWN).map(
              ({ image_id, project_id }) => html`<tr>
                <td><${Failed} id=${image_id} name=${named.data?.get(image_id)} tab=${tab} /></td>
                <td><${Project} id=${project_id} /></td>
              </tr>`,
            )}
          </tbody>
        </table>
        ${rows.length > SHOWN ? html`<p class="quiet">${plural(rows.length - SHOWN, 'more entry', 'more entries')}: all are in the CSV.</p>` : null}
      </details>`,
    )}
  </section>`;
}
