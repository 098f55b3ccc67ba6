// What failed, as requests that can be sent again, and as a file.

import { plural } from './lib.js';

/** @type {Record<string, {word: string, method: Batch['method']} | undefined>} */
const KINDS = {
  imsAddImageMembersJob: { word: 'Share', method: 'POST' },
  imsUpdateImageMembersJob: { word: 'Answer', method: 'PUT' },
  imsDelImageMembersJob: { word: 'Unshare', method: 'DELETE' },
  imsReplaceImageMembersJob: { word: 'Set members', method: 'POST' },
};

/** @param {string} type */
export function kindOf(type) {
  return KINDS[type]?.word ?? type;
}

/**
 * The requests that repeat exactly these entries. A request is all of its images with all of its
 * projects, so images whose failed projects differ are in different requests.
 * @param {Job} job
 * @param {Result[]} failed
 * @param {{status?: 'accepted' | 'rejected', vault_id?: string}} answer
 * @returns {Batch[]}
 */
export function again(job, failed, answer) {
  const method = KINDS[job.job_type]?.method ?? 'POST';
  const title = `Again: ${plural(failed.length, 'entry', 'entries')}`;
  if (method === 'PUT') return [{ method, title, images: failed.map(({ image_id }) => image_id), ...answer }];
  /** @type {Map<string, string[]>} */
  const projectsOf = new Map();
  for (const { image_id, project_id } of failed) {
    projectsOf.set(image_id, [...(projectsOf.get(image_id) ?? []), project_id]);
  }
  /** @type {Map<string, Batch>} */
  const batches = new Map();
  for (const [image, projects] of projectsOf) {
    const key = JSON.stringify(projects);
    const batch = batches.get(key) ?? { method, title, images: [], projects };
    batch.images.push(image);
    batches.set(key, batch);
  }
  return [...batches.values()];
}

/**
 * Failures by their reason, the most frequent first.
 * @param {Result[]} failed
 */
export function reasons(failed) {
  /** @type {Map<string, {reason: string, code: string, rows: Result[]}>} */
  const groups = new Map();
  for (const row of failed) {
    const code = row.error_code ?? '';
    const reason = row.fail_reason ?? 'No reason was given.';
    const group = groups.get(code + reason) ?? { reason, code, rows: [] };
    group.rows.push(row);
    groups.set(code + reason, group);
  }
  return [...groups.values()].sort((a, b) => b.rows.length - a.rows.length);
}

const COLUMNS = /** @type {const} */ (['image_id', 'project_id', 'status', 'changed', 'error_code', 'fail_reason']);

/** @param {Result[]} rows */
export function csv(rows) {
  const lines = rows.map((row) => COLUMNS.map((name) => cell(row[name])).join(','));
  return [COLUMNS.join(','), ...lines, ''].join('\r\n');
}

/** Quoted, and never a formula: a spreadsheet would run what begins with one of these signs. @param {unknown} value */
function cell(value) {
  const text = String(value ?? '');
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** @param {string} name @param {string} text */
export function download(name, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
