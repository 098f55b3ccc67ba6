// Accepting and rejecting: one image by a call, several as one batch. And which images their owners have
// taken back.

import * as api from './api.js';
import { Dialog } from './dialog.js';
import { ApiError, Away } from './http.js';
import { each, html, plural, random, useEffect, useRef, useState } from './lib.js';
import { changed } from './outage.js';
import { Button, ErrorNote, told } from './ui.js';
import { VaultDialog } from './vault.js';
import { start } from './watch.js';

/** Up to so many images are looked at before a batch accepts them. The job asks for the others' vault. */
const LOOKED_AT = 50;
/** Rows that have left are looked at, up to so many at once. */
const MISSED = 20;

/** Images that an error names. */
const NAMED = 3;

/** @typedef {'accepted' | 'rejected'} Given */
/** @typedef {{status: Given, rows: Invitation[], vault?: string | undefined, key: string}} Asked an answer that somebody has given here */
/** @typedef {{asked: Asked, error: Error}} Failed */

/** @param {Invitation} row */
export function nameOf(row) {
  return row.image_name || row.image_id;
}

/**
 * @param {Gone} gone
 * @param {import('./table.js').Selection<Invitation>} selection
 */
export function useAnswering(gone, selection) {
  const [vaultFor, setVaultFor] = useState(/** @type {{rows: Invitation[], count: number} | null} */ (null));
  const [rejecting, setRejecting] = useState(/** @type {Invitation[] | null} */ (null));
  const [under, setUnder] = useState(/** @type {Asked[]} */ ([]));
  const [failed, setFailed] = useState(/** @type {Failed[]} */ ([]));
  // Whoever answers quickly, row by row, is not waited for: one answer after the other.
  const line = useRef(Promise.resolve());

  const give = async (/** @type {Asked} */ { status, rows, vault, key }) => {
    if (status === 'accepted' && !vault && rows.length <= LOOKED_AT) {
      const count = await needVault(rows, gone);
      // The next in line may need one too.
      if (count) return setVaultFor((now) => ({ rows: [...(now?.rows ?? []), ...rows], count: count + (now?.count ?? 0) }));
    }
    const left = rows.filter((row) => !gone.has(row));
    const [only] = left;
    if (!only) return;
    for (const row of left) gone.expect(row);
    if (left.length === 1) await one(only, status, vault, gone);
    else {
      const title = `${status === 'accepted' ? 'Accept' : 'Reject'} ${plural(left.length, 'image')}`;
      await start({ method: 'PUT', title, images: left.map((row) => row.image_id), status, vault_id: vault }, key);
      // A job is not undone, nor what was answered before it.
      told('');
    }
    selection.set(new Map());
    changed();
  };
  // Joins the line. What failed is told until it is sent again, or the same images are answered anew.
  const join = (/** @type {Asked} */ asked) => {
    setUnder((now) => [...now, asked]);
    setFailed((now) => now.filter((before) => !before.asked.rows.some((row) => isAbout(asked, row))));
    line.current = line.current
      .then(() => give(asked))
      .catch((error) => setFailed((now) => [...now, { asked, error }]))
      .then(() => setUnder((now) => now.filter((one) => one !== asked)));
  };
  const send = (/** @type {Given} */ status, /** @type {Invitation[]} */ rows, /** @type {string | undefined} */ vault = undefined) =>
    join({ status, rows, vault, key: random() });
  const onVault = (/** @type {string} */ vault) => {
    setVaultFor(null);
    if (vaultFor) send('accepted', vaultFor.rows, vault);
  };
  const onReject = () => {
    setRejecting(null);
    if (rejecting) send('rejected', rejecting);
  };
  return {
    // One answer can be undone. Rejecting several cannot, so the user is asked first.
    answer: (/** @type {Given} */ status, /** @type {Invitation[]} */ rows) =>
      status === 'rejected' && rows.length > 1 ? setRejecting(rows) : send(status, rows),
    busy: (/** @type {Invitation} */ row) => under.some((asked) => isAbout(asked, row)),
    parts: html`<${ErrorNote} error=${unanswered(failed)} retry=${() => failed.forEach(({ asked }) => join(asked))} />
      ${vaultFor ? html`<${VaultDialog} count=${vaultFor.count} of=${vaultFor.rows.length} onVault=${onVault} onClose=${() => setVaultFor(null)} />` : null}
      ${rejecting ? html`<${RejectDialog} count=${rejecting.length} onReject=${onReject} onClose=${() => setRejecting(null)} />` : null}`,
  };
}

/** @param {{count: number, onReject: () => void, onClose: () => void}} props */
function RejectDialog({ count, onReject, onClose }) {
  return html`<${Dialog} title=${`Reject ${plural(count, 'image')}?`} onClose=${onClose}>
    <p>They leave your image list. You can accept them later under Rejected.</p>
    <footer>
      <${Button} autofocus onClick=${onClose}>Cancel<//>
      <${Button} kind="danger" onClick=${onReject}>Reject ${plural(count, 'image')}<//>
    </footer>
  <//>`;
}

/** @param {Asked} asked @param {Invitation} row */
function isAbout(asked, row) {
  return asked.rows.some(({ image_id }) => image_id === row.image_id);
}

/** What is still to be done, and why the last of it failed. @param {Failed[]} failed */
function unanswered(failed) {
  const error = failed.at(-1)?.error;
  if (!error) return undefined;
  const rows = failed.flatMap(({ asked }) => asked.rows);
  const words = [...new Set(failed.map(({ asked }) => asked.status))];
  const what = rows.length > NAMED ? plural(rows.length, 'image') : rows.map(nameOf).join(', ');
  const why = error instanceof Away ? 'the service did not answer.' : error.message;
  const { status = 0, ...more } = error instanceof ApiError ? error : {};
  return new ApiError(status, `${what} ${rows.length === 1 ? 'is' : 'are'} not ${words.join(' or ')} yet: ${why}`, more);
}

/** How many of these images need a vault. @param {Invitation[]} rows @param {Gone} gone */
async function needVault(rows, gone) {
  let count = 0;
  await each(rows, 6, async (row) => {
    try {
      const image = await api.image(row.image_id);
      if (image.__backup_id) count += 1;
    } catch (error) {
      if (!api.isGone(error)) throw error;
      gone.add(row);
    }
  });
  return count;
}

/** @param {Invitation} row @param {Given} status @param {string | undefined} vault @param {Gone} gone */
async function one(row, status, vault, gone) {
  try {
    await api.answer(row.image_id, status, vault);
  } catch (error) {
    if (!api.isGone(error)) throw error;
    return gone.add(row);
  }
  const undo = () =>
    api.answer(row.image_id, row.status).then(
      () => {
        told(`${nameOf(row)} is ${row.status} again.`);
        changed();
      },
      (error) => told(error.message),
    );
  return told(`${nameOf(row)} is ${status}.`, row.status === status ? undefined : undo);
}

/**
 * Rows that are shown although their image is gone.
 * @typedef {object} Gone
 * @property {(row: Invitation) => boolean} has
 * @property {(row: Invitation) => void} add
 * @property {(row: Invitation) => void} expect a row that may leave the list for another reason: an answer
 * @property {Invitation[] | undefined} rows the list with them
 */

/**
 * Keeps a row in its place when its image is taken back, so that nobody wonders where it went.
 * @param {Invitation[] | undefined} rows
 * @param {string} key of the page and its filters
 * @param {(rows: Invitation[]) => void} onLeft what is on the page no longer
 * @returns {Gone}
 */
export function useGone(rows, key, onLeft) {
  const [gone, setGone] = useState(/** @type {Map<string, {row: Invitation, at: number}>} */ (new Map()));
  const before = useRef({ key, rows: /** @type {Invitation[]} */ ([]) });
  const expected = useRef(/** @type {Set<string>} */ (new Set()));
  const merged = rows && merge(rows, gone);

  useEffect(() => {
    if (before.current.key !== key) {
      expected.current.clear();
      setGone(new Map());
      before.current = { key, rows: rows ?? [] };
      return;
    }
    if (!rows) return;
    const here = new Set(rows.map((row) => row.image_id));
    const left = before.current.rows.filter((row) => !here.has(row.image_id));
    before.current = { key, rows };
    if (left.length) onLeft(left);
    const unexpected = left.filter((row) => !expected.current.has(row.image_id));
    void each(unexpected.slice(0, MISSED), 4, async (row) => {
      const image = await api.image(row.image_id).catch((error) => error);
      if (api.isGone(image)) add(row);
    });
  }, [rows, key]);

  const add = (/** @type {Invitation} */ row) => {
    setGone((now) => {
      const at = Math.max(0, before.current.rows.findIndex((other) => other.image_id === row.image_id));
      return new Map(now).set(row.image_id, { row, at: now.get(row.image_id)?.at ?? at });
    });
  };
  return {
    rows: merged,
    add,
    has: (row) => gone.has(row.image_id),
    expect: (row) => expected.current.add(row.image_id),
  };
}

/** @param {Invitation[]} rows @param {Map<string, {row: Invitation, at: number}>} gone */
function merge(rows, gone) {
  const all = rows.filter((row) => !gone.has(row.image_id));
  const inOrder = [...gone.values()].sort((a, b) => a.at - b.at);
  for (const { row, at } of inOrder) all.splice(at, 0, row);
  return all;
}
