// The small parts that every view is made of.

import { ApiError, session } from './http.js';
import { html, number, Store, useEffect, useRef, useState, useStore } from './lib.js';
import { nameOf, names } from './names.js';

/** @typedef {import('./lib.js').Children} Children */

const PATHS = {
  close: 'M4 4l8 8M12 4l-8 8',
  accepted: 'M3.5 8.5l3 3 6-7',
  pending: 'M8 4.5V8l2.2 1.6M8 14A6 6 0 108 2a6 6 0 000 12z',
  rejected: 'M4.5 4.5l7 7M11.5 4.5l-7 7',
  copy: 'M6 5.5V3h7v8h-2.5M3 5.5h7.5V13H3z',
  next: 'M6 3.5L10.5 8 6 12.5',
  previous: 'M10 3.5L5.5 8 10 12.5',
  warning: 'M8 2.5l6 11H2zM8 6.5v3.2M8 11.6v.4',
  search: 'M7 11.5a4.5 4.5 0 100-9 4.5 4.5 0 000 9zM10.5 10.5l3 3',
};

/** @param {{name: keyof typeof PATHS}} props */
export function Icon({ name }) {
  return html`<svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}

/**
 * A button. One that may not be used can still be reached, and says why.
 * @param {{onClick?: () => void, why?: string, busy?: boolean, kind?: string, type?: string, label?: string, autofocus?: boolean, children?: Children}} props
 */
export function Button({ onClick, why, busy, kind = '', type = 'button', label, autofocus, children }) {
  const off = Boolean(why) || busy;
  const click = (/** @type {Event} */ event) => {
    event.stopPropagation();
    if (off) event.preventDefault();
    else onClick?.();
  };
  return html`<button type=${type} class=${kind} autofocus=${autofocus} aria-disabled=${off ? 'true' : undefined} aria-busy=${busy ? 'true' : undefined}
    aria-label=${label} title=${why || undefined} onClick=${click}>${children}</button>`;
}

/** A name by anybody, which may be in any script and direction. @param {{name: string | null, id: string}} props */
export function Name({ name, id }) {
  return html`<bdi class=${name ? 'name' : 'name none'}>${name || 'no name'}</bdi> <code class="id" title=${id}>${short(id)}</code>`;
}

/** @param {string} id */
export function short(id) {
  return id.length > 12 ? `${id.slice(0, 8)}…` : id;
}

/** A project, by its name if that is known. @param {{id: string, whole?: boolean}} props */
export function Project({ id, whole }) {
  useStore(names);
  const name = nameOf(id);
  if (!name) return html`<code class="project" title=${id}>${whole ? id : short(id)}</code>`;
  return html`<bdi class="project" title=${id}>${name}</bdi>${whole ? html` <code class="id">${id}</code>` : null}`;
}

/** @param {{status: Answer}} props */
export function Status({ status }) {
  return html`<span class=${`status ${status}`}><${Icon} name=${status} />${status}</span>`;
}

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const days = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
/** What is longer ago is told by its day, in seconds. */
const LONG_AGO = 30 * 86400;
/** @type {[number, Intl.RelativeTimeFormatUnit][]} */
const UNITS = [[86400, 'day'], [3600, 'hour'], [60, 'minute']];

/** @param {{at: string}} props */
export function Time({ at }) {
  const date = new Date(at);
  const seconds = (date.getTime() - Date.now()) / 1000;
  const unit = UNITS.find(([size]) => Math.abs(seconds) >= size);
  const ago = unit ? relative.format(Math.round(seconds / unit[0]), unit[1]) : 'just now';
  return html`<time datetime=${at} title=${dates.format(date)}>${seconds < -LONG_AGO ? days.format(date) : ago}</time>`;
}

/** What is said once to whoever cannot see it. */
const said = new Store({ text: '', count: 0 });

/** @param {string} text */
export function announce(text) {
  said.set({ text, count: said.value.count + 1 });
}

export function LiveRegion() {
  const { text, count } = useStore(said);
  // An element of its own each time: the same text is said again.
  return html`<div class="hidden" role="status" aria-live="polite"><p key=${count}>${text}</p></div>`;
}

/** A text that a button copies. @param {{text: string, what: string}} props */
export function Copyable({ text, what }) {
  const code = useRef(/** @type {HTMLElement | null} */ (null));
  const [copied, setCopied] = useState(false);
  const copy = () => {
    // Without TLS there is no clipboard: then the text is selected.
    const written = navigator.clipboard?.writeText(text) ?? Promise.reject();
    written.then(() => setCopied(true), () => code.current && getSelection()?.selectAllChildren(code.current));
  };
  useEffect(() => {
    const clock = copied ? setTimeout(() => setCopied(false), 2000) : 0;
    return () => clearTimeout(clock);
  }, [copied]);
  return html`<span class="copyable"><code ref=${code}>${text}</code>
    <button type="button" class="icon" aria-label=${`Copy ${what}`} title=${`Copy ${what}`} onClick=${copy}>
      <${Icon} name=${copied ? 'accepted' : 'copy'} />
    </button></span>`;
}

/**
 * An error, where it happened.
 * @param {{error: Error | undefined, retry?: () => void}} props
 */
export function ErrorNote({ error, retry }) {
  if (!error) return null;
  const { requestId = '', code = '' } = error instanceof ApiError ? error : {};
  return html`<div class="note error" role="alert">
    <${Icon} name="warning" />
    <div>
      <p>${error.message}${code ? html` <code>${code}</code>` : null}</p>
      ${requestId ? html`<p class="quiet">Request <${Copyable} text=${requestId} what="the request's id" /></p>` : null}
    </div>
    ${retry ? html`<${Button} onClick=${retry}>Try again<//>` : null}
  </div>`;
}

/** @param {{title: string, children?: Children}} props */
export function Empty({ title, children }) {
  useEffect(() => announce(title), [title]);
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

/** @param {{rows?: number}} props */
export function Waiting({ rows = 8 }) {
  return html`<div class="waiting" role="status" aria-label="Loading">
    ${Array.from({ length: rows }, () => html`<i></i>`)}
  </div>`;
}

/**
 * The bar of a job.
 * @param {{done: number, failed: number, total: number, label: string}} props
 */
export function Progress({ done, failed, total, label }) {
  const share = (/** @type {number} */ count) => ({ width: `${total ? (100 * count) / total : 0}%` });
  const percent = total ? Math.floor((100 * (done + failed)) / total) : 0;
  return html`<span class="bar" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${percent}
    aria-valuetext=${`${number(done)} done, ${number(failed)} failed, of ${number(total)}`}>
    <i class="accepted" style=${share(done)}></i><i class="rejected" style=${share(failed)}></i>
  </span>`;
}

/** How long it is shown what was done, in milliseconds. */
const SHOWN = 10000;

/** @type {Store<{text: string, undo?: () => void} | null>} */
const toast = new Store(/** @type {{text: string, undo?: () => void} | null} */ (null));
/** Undoes what was done last, also when that is shown no longer. @type {(() => void) | undefined} */
let last;
session.subscribe(() => told(''));

/** Says what was done, and offers to undo it. @param {string} text @param {() => void} [undo] */
export function told(text, undo) {
  last = undo;
  toast.set(text ? { text, undo } : null);
}

export function undo() {
  const now = last;
  told('');
  now?.();
}

export function Toast() {
  const now = useStore(toast);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    // Not while somebody is about to press it.
    const clock = now ? setInterval(() => box.current?.matches(':hover, :focus-within') || toast.set(null), SHOWN) : 0;
    return () => clearInterval(clock);
  }, [now]);
  return html`<div class="toast" role="status" ref=${box}>
    ${now ? html`<p>${now.text}</p>` : null}
    ${now?.undo ? html`<${Button} kind="link" onClick=${undo}>Undo<//>` : null}
    ${now ? html`<button type="button" class="icon" aria-label="Dismiss" onClick=${() => toast.set(null)}><${Icon} name="close" /></button>` : null}
  </div>`;
}
