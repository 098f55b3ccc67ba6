// Sharing: projects are typed or pasted, and each is checked while that happens.

import * as api from './api.js';
import { count, total } from './counts.js';
import { Dialog } from './dialog.js';
import { session } from './http.js';
import { each, html, keep, kept, number, plural, random, useEffect, useMemo, useRef, useState } from './lib.js';
import { useAction, useLoad } from './load.js';
import { find } from './names.js';
import { changed } from './outage.js';
import { Button, ErrorNote, Icon, told } from './ui.js';
import { start } from './watch.js';

/** Members are looked at for so many images; for more, what does not fit fails by itself. */
const LOOKED_AT = 20;
/** Entries that are shown. */
const SHOWN = 200;

/** @typedef {'checking' | 'new' | 'member' | 'own' | 'twice' | 'unknown' | 'ambiguous' | 'unchecked'} State */
/** @typedef {{text: string, id: string, name: string, state: State}} Entry */
/** @typedef {Pick<Image, 'id' | 'name'>} Named an image, as much of it as sharing needs */

/** @type {Record<State, string>} */
const WORDS = {
  checking: 'checking',
  new: '',
  member: 'has it already',
  own: 'is your own project',
  twice: 'is there twice',
  unknown: 'no project has this id or name',
  ambiguous: 'several projects have this name: use the id',
  unchecked: 'cannot be checked: taken as an id',
};
/** Entries that must be corrected before anything is sent. */
const WRONG = /** @type {State[]} */ (['unknown', 'ambiguous']);

/** @param {string} text */
function split(text) {
  return text.split(/[,;\s]+/).filter(Boolean);
}

/**
 * What was typed, checked.
 * @param {string} text
 * @param {Set<string>} members who has all of the images already
 * @returns {Entry[]}
 */
function useEntries(text, members) {
  const [found, setFound] = useState(/** @type {Map<string, import('./names.js').Found>} */ (new Map()));
  const typed = useMemo(() => split(text), [text]);
  useEffect(() => {
    let alive = true;
    const clock = setTimeout(() => {
      const fresh = [...new Set(typed)].filter((one) => !found.has(one));
      void each(fresh, 6, async (one) => {
        if (!alive) return;
        const result = await find(one);
        setFound((now) => new Map(now).set(one, result));
      });
    }, 250);
    return () => {
      alive = false;
      clearTimeout(clock);
    };
  }, [text]);
  const seen = new Set();
  return typed.map((one) => {
    const result = found.get(one);
    const id = result?.id || one;
    const twice = seen.has(id) || seen.has(one);
    seen.add(id).add(one);
    return { text: one, id, name: result?.name ?? '', state: stateOf(result, id, twice, members) };
  });
}

/**
 * @param {import('./names.js').Found | undefined} found
 * @param {string} id @param {boolean} twice @param {Set<string>} members
 * @returns {State}
 */
function stateOf(found, id, twice, members) {
  if (twice) return 'twice';
  if (!found) return 'checking';
  if (found.state === 'unknown' || found.state === 'ambiguous') return found.state;
  if (id === session.value?.project.id) return 'own';
  if (members.has(id)) return 'member';
  return found.state === 'unchecked' ? 'unchecked' : 'new';
}

/** How many members each of the images may still get, and who has all of them. @param {Named[]} images @param {number} quota */
async function look(images, quota) {
  let room = quota;
  /** @type {Set<string> | undefined} */
  let everywhere;
  if (images.length > LOOKED_AT) return { room: Infinity, members: new Set() };
  await each(images, 6, async ({ id }) => {
    const { rows } = await api.all((query) => api.members(id, query), {});
    room = Math.min(room, quota - total(count(rows)));
    const own = new Set(rows.map(({ member_id }) => member_id));
    everywhere = everywhere ? new Set([...everywhere].filter((one) => own.has(one))) : own;
  });
  return { room: Math.max(room, 0), members: everywhere ?? new Set() };
}

/** The user's own in this project, whoever signs in to this tab later. */
function draftName() {
  return `draft ${session.value?.project.id} ${session.value?.user}`;
}

/** What was typed when the dialog went away unasked: the session has ended, or the page was left. @returns {{images: Named[], text: string} | null} */
export function draft() {
  return kept(draftName());
}

/** @param {{images: Named[], quota: number, onClose: () => void, onDone: () => void}} props */
export function ShareDialog({ images, quota, onClose, onDone }) {
  const [text, setText] = useState(() => draft()?.text ?? '');
  const [asks, setAsks] = useState(false);
  useEffect(() => keep(draftName(), text.trim() ? { images: images.map(({ id, name }) => ({ id, name })), text } : null), [text]);
  const leave = () => {
    keep(draftName(), null);
    onClose();
  };
  const close = () => (text.trim() ? setAsks(!asks) : leave());
  const looked = useLoad(() => look(images, quota), [images.map(({ id }) => id), quota], { every: 3600000 });
  const { room = Infinity, members = new Set() } = looked.data ?? {};
  const entries = useEntries(text, members);
  const projects = entries.filter(({ state }) => state === 'new' || state === 'unchecked').map(({ id }) => id);
  const wrong = entries.filter(({ state }) => WRONG.includes(state));
  const why = whyNot(entries, projects, wrong, images.length, room);
  const keys = useRef({ of: '', all: /** @type {string[]} */ ([]) });
  const [only] = images;
  const name = images.length === 1 && only ? only.name || only.id : plural(images.length, 'image');

  const share = useAction(async () => {
    const [project] = projects;
    if (images.length === 1 && only && projects.length === 1 && project) {
      const { status } = await api.share(only.id, project);
      told(`${name} is shared with ${entries.find(({ id }) => id === project)?.name || project}: ${status}.`);
    } else {
      await send(images, projects, name, keys.current);
    }
    changed();
    onDone();
    leave();
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!why) void share.run();
  };
  const withoutWrong = () => setText(entries.filter((entry) => !wrong.includes(entry)).map((entry) => entry.text).join('\n'));
  return html`<${Dialog} title=${html`Share <bdi>${name}</bdi>`} onClose=${close} wide>
    <form onSubmit=${submit}>
      <label class="field">Projects
        <textarea rows="4" value=${text} spellcheck=${false} autocomplete="off" autofocus aria-describedby="share-help"
          onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea>
      </label>
      <p id="share-help" class="quiet">Ids or names, separated by commas or lines. ${roomText(room, quota, projects.length)}</p>
      <${Entries} entries=${entries} />
      ${wrong.length ? html`<p><${Button} kind="link" onClick=${withoutWrong}>Remove the ${wrong.length === 1 ? 'one' : number(wrong.length)} that cannot be found<//></p>` : null}
      <${ErrorNote} error=${share.error ?? looked.error} retry=${share.error ? share.run : looked.reload} />
      ${asks
        ? html`<${Discard} onKeep=${() => setAsks(false)} onDiscard=${leave} />`
        : html`<footer>
            <p class="quiet" role="status">${why}</p>
            <${Button} onClick=${leave}>Cancel<//>
            <${Button} kind="primary" type="submit" why=${why} busy=${share.busy}>
              ${projects.length ? `Share with ${plural(projects.length, 'project')}` : 'Share'}
            <//>
          </footer>`}
    </form>
  <//>`;
}

/** @param {{onKeep: () => void, onDiscard: () => void}} props */
function Discard({ onKeep, onDiscard }) {
  return html`<footer>
    <p role="alert">Discard what you have typed?</p>
    <${Button} onClick=${onKeep}>Keep it<//>
    <${Button} kind="danger" onClick=${onDiscard}>Discard<//>
  </footer>`;
}

/** @param {Entry[]} entries @param {string[]} projects @param {Entry[]} wrong @param {number} images @param {number} room */
function whyNot(entries, projects, wrong, images, room) {
  if (entries.length === 0) return 'Enter at least one project.';
  if (entries.some(({ state }) => state === 'checking')) return 'Checking the projects.';
  if (wrong.length) return 'Correct what cannot be found.';
  if (projects.length === 0) return 'Nobody here is new.';
  if (projects.length > room) return `${plural(projects.length - room, 'project')} too many: there is room for ${number(room)}.`;
  if (projects.length > api.BATCH) return `At most ${number(api.BATCH)} projects at once.`;
  return images ? '' : 'No image.';
}

/** @param {number} room @param {number} quota @param {number} used */
function roomText(room, quota, used) {
  if (!Number.isFinite(quota) || !Number.isFinite(room)) return '';
  return `Room for ${number(Math.max(room - used, 0))} more of ${number(quota)}.`;
}

/** @param {{entries: Entry[]}} props */
function Entries({ entries }) {
  if (entries.length === 0) return null;
  return html`<ul class="entries" aria-label="Projects as typed" tabindex="0">
    ${entries.slice(0, SHOWN).map(
      ({ text, id, name, state }) => html`<li class=${state}>
        <${Icon} name=${state === 'new' ? 'accepted' : state === 'checking' ? 'pending' : 'warning'} />
        <bdi>${name || text}</bdi>
        ${name && id !== name ? html`<code class="id" title=${id}>${id.slice(0, 8)}</code>` : null}
        <span class="quiet">${WORDS[state]}</span>
      </li>`,
    )}
    ${entries.length > SHOWN ? html`<li class="quiet">and ${number(entries.length - SHOWN)} more</li>` : null}
  </ul>`;
}

/**
 * Every image with every project, in as few batches as there may be. The same batches keep their keys,
 * so that trying again repeats nothing.
 * @param {Named[]} images @param {string[]} projects @param {string} name
 * @param {{of: string, all: string[]}} keys
 */
async function send(images, projects, name, keys) {
  const width = Math.max(1, Math.floor(api.BATCH / projects.length));
  const of = JSON.stringify([images.map(({ id }) => id), projects]);
  if (keys.of !== of) Object.assign(keys, { of, all: [] });
  for (let at = 0; at < images.length; at += width) {
    const part = images.slice(at, at + width).map(({ id }) => id);
    const key = (keys.all[at / width] ??= random());
    await start({ method: 'POST', title: `Share ${name} with ${plural(projects.length, 'project')}`, images: part, projects }, key);
  }
}
