// Jobs that are watched until they end. Those that were started in this tab are remembered over reloads.

import * as api from './api.js';
import { session } from './http.js';
import { keep, kept, number, plural, Store, useEffect, useStore } from './lib.js';
import { changed, outage } from './outage.js';
import { announce } from './ui.js';

/** Pauses between two reads of a job, in milliseconds: short first, longer while nothing moves. */
const SHORTEST = 400;
const LONGEST = 4000;
/** What the rate is an average of, in milliseconds. */
const WINDOW = 6000;

/** @typedef {{id: string, batch: Batch}} Started */

/** @type {Store<Started[]>} The jobs that were started here and not dismissed. */
export const started = new Store(/** @type {Started[]} */ (kept('jobs') ?? []));
started.subscribe(() => keep('jobs', started.value));
session.subscribe(() => {
  if (!session.value) started.set([]);
});

/** Sends a batch and watches its job. @param {Batch} batch @param {string} [key] */
export async function start(batch, key) {
  const id = await api.batch(batch, key);
  const others = started.value.filter((other) => other.id !== id);
  started.set([...others, { id, batch }]);
  announce(`${batch.title}: started`);
}

/** @param {string} id */
export function dismiss(id) {
  started.set(started.value.filter((other) => other.id !== id));
}

/** What was sent for a job, if it was sent from this tab. @param {string} id */
export function sent(id) {
  return started.value.find((other) => other.id === id)?.batch;
}

/**
 * @typedef {object} Watched
 * @property {Job} [job]
 * @property {Error} [error]
 * @property {number} rate entries a second
 */

/** @type {Map<string, Watch>} */
const watches = new Map();

class Watch {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    this.state = new Store(/** @type {Watched} */ ({ rate: 0 }));
    this.users = 0;
    this.pause = SHORTEST;
    /** @type {{at: number, done: number}[]} */
    this.samples = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.clock = undefined;
    this.told = 0;
    this.reading = false;
  }

  async read() {
    clearTimeout(this.clock);
    if (this.reading) return;
    this.reading = true;
    try {
      if (!outage.value) this.take(await api.job(this.id));
    } catch (error) {
      this.state.set({ ...this.state.value, error: /** @type {Error} */ (error) });
    }
    this.reading = false;
    const { job, error } = this.state.value;
    const over = api.isGone(error) || (job && isOver(job)) || !session.value;
    if (!over && this.users > 0) this.clock = setTimeout(() => this.read(), this.pause);
  }

  /** @param {Job} job */
  take(job) {
    const before = this.state.value.job;
    const done = job.entities.succeeded + job.entities.failed;
    const now = performance.now();
    const moved = this.samples.at(-1)?.done !== done;
    this.pause = moved ? SHORTEST : Math.min(this.pause * 1.5, LONGEST);
    this.samples = [...this.samples.filter(({ at }) => now - at < WINDOW), { at: now, done }];
    const first = this.samples[0];
    const seconds = first ? (now - first.at) / 1000 : 0;
    const rate = first && seconds > 0 ? (done - first.done) / seconds : 0;
    this.state.set({ job, rate });
    this.tell(job, done, before);
  }

  /** Says each quarter aloud, and the end. @param {Job} job @param {number} done @param {Job} [before] */
  tell(job, done, before) {
    if (isOver(job)) {
      if (before && !isOver(before)) changed();
      if (this.told < 5 && sent(this.id)) announce(`${sent(this.id)?.title}: ${outcome(job)}`);
      this.told = 5;
      return;
    }
    const quarter = Math.floor((4 * done) / Math.max(job.entities.total, 1));
    if (quarter > this.told) announce(`${number(done)} of ${number(job.entities.total)} entries are done`);
    this.told = Math.max(quarter, this.told);
  }
}

/** @param {Job} job */
export function isOver(job) {
  return job.status === 'SUCCESS' || job.status === 'FAIL';
}

/** @param {Job} job */
export function outcome({ status, entities: { total, succeeded, failed } }) {
  if (failed) return `${number(succeeded)} done, ${number(failed)} failed`;
  return status === 'SUCCESS' ? `${plural(total, 'entry', 'entries')} done` : `${number(succeeded)} of ${number(total)} done`;
}

/** Watches a job while a component is on the page. @param {string} id */
export function useJob(id) {
  const watch = watches.get(id) ?? new Watch(id);
  watches.set(id, watch);
  useEffect(() => {
    watch.users += 1;
    if (!watch.state.value.job || !isOver(watch.state.value.job)) void watch.read();
    return () => {
      watch.users -= 1;
    };
  }, [watch]);
  return useStore(watch.state);
}
