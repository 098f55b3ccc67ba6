// What the tests share: a real server with many projects, a real browser, and the API to prepare records.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { chromium } from 'playwright-core';

const BINARY = process.env.IMSHARE ?? '../target/debug/imshare';
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const SHOTS = process.env.SHOTS ?? '../target/ci/console';
const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');

/** The most members of an image, so that an image is soon full. */
export const QUOTA = 40;

/** Every test has its own projects, so that tests can run at the same time: `name-1`, `name-2`, … */
export function projectId(name) {
  return Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32);
}

/** An identity file in which each of these names is a project, a user of it and that user's token. */
function identities(names) {
  const text = (value) => JSON.stringify(value);
  return names
    .map((name) => {
      const id = projectId(name);
      const role = name.endsWith('-reader') ? ['reader'] : name === 'service' ? ['admin'] : ['member', 'reader'];
      const project = id_of_reader(name) ?? id;
      return [
        project === id ? `[[project]]\nid = ${text(id)}\nname = ${text(name)}\n` : '',
        `[[user]]\nid = ${text(`u-${name}`)}\nname = ${text(name)}\npassword = "secret"`,
        `grants = [{ project = ${text(project)}, roles = ${text(role)} }]\n`,
        `[[token]]\nid = ${text(token(name))}\nuser = ${text(`u-${name}`)}\nproject = ${text(project)}\nroles = ${text(role)}\n`,
      ].join('\n');
    })
    .join('\n');
}

/** The user `x-reader` is one of the project `x`. */
function id_of_reader(name) {
  return name.endsWith('-reader') ? projectId(name.replace(/-reader$/, '')) : undefined;
}

export function token(name) {
  return `token-of-${projectId(name)}-${name.endsWith('-reader') ? 'reader' : 'member'}`;
}

export class Server {
  /** @param {string[]} names projects with a user each */
  static async start(names, { keep = false, listen = '127.0.0.1:0', args = [], env = {} } = {}) {
    const server = new Server();
    server.work = mkdtempSync(join(tmpdir(), 'imshare-console-'));
    server.identity = join(server.work, 'identity.toml');
    server.options = [...args, ...(keep ? ['--data-dir', join(server.work, 'data')] : ['--in-memory'])];
    if (names.length) server.options.push('--identity', server.identity);
    server.env = { ...process.env, ...env };
    writeFileSync(server.identity, identities(names));
    await server.up(listen);
    return server;
  }

  /** Starts the process and waits until it says that it listens. */
  async up(listen = this.url.replace('http://', '')) {
    const options = ['--listen', listen, '--member-quota', String(QUOTA), ...this.options];
    this.process = spawn(BINARY, ['serve', ...options], { env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let log = '';
    this.process.stderr.on('data', (part) => {
      log += part;
    });
    this.url = await new Promise((done, failed) => {
      this.process.stdout.on('data', (part) => {
        const found = /listening on (\S+)/.exec(String(part));
        if (found) done(found[1]);
      });
      this.process.on('exit', (code) => failed(new Error(`the server ended with ${code}: ${log}`)));
    });
  }

  async down() {
    const ended = new Promise((done) => this.process.on('exit', done));
    this.process.kill('SIGTERM');
    await ended;
  }

  async end() {
    await this.down();
    rmSync(this.work, { recursive: true, force: true });
  }

  /** A request of a project's user. */
  async call(name, method, path, body) {
    const response = await fetch(this.url + path, {
      method,
      headers: { 'X-Auth-Token': token(name) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  /** Creates an image of a project and returns its id. */
  async image(name, image) {
    const named = typeof image === 'string' ? { name: image } : image;
    return (await this.call(name, 'POST', '/v2/images', named)).id;
  }

  async images(name, count, prefix = 'image') {
    const ids = [];
    const numbers = Array.from({ length: count }, (_, index) => index + 1);
    const worker = async () => {
      for (let at = numbers.shift(); at; at = numbers.shift()) ids.push(await this.image(name, `${prefix}-${at}`));
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    return ids;
  }

  /** Shares images by one batch and waits for its end. */
  async share(name, images, projects) {
    const body = { images, projects: projects.map(projectId) };
    await this.ended(name, (await this.call(name, 'POST', '/v1/cloudimages/members', body)).job_id);
  }

  async ended(name, job) {
    for (;;) {
      const { status } = await this.call(name, 'GET', `/v1/cloudimages/job/${job}?limit=1`);
      if (['SUCCESS', 'FAIL'].includes(status)) return status;
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  async invitations(name, query = 'status=all') {
    const answer = await this.call(name, 'GET', `/v1/${projectId(name)}/cloudimages/invitations?${query}&limit=1000`);
    return answer.invitations;
  }
}

/** An address that nobody listens on yet. */
export async function freeAddress() {
  const held = createServer().listen(0, '127.0.0.1');
  await once(held, 'listening');
  const { port } = held.address();
  held.close();
  await once(held, 'close');
  return `127.0.0.1:${port}`;
}

/** A server's address behind which answers are cut in the middle, as a network does it, while `cuts` says so. @param {(path: string) => boolean} cuts */
export async function cutting(url, cuts) {
  const proxy = createHttpServer(async (asked, answer) => {
    const body = asked.method === 'GET' ? undefined : await new Response(Readable.toWeb(asked)).text();
    const { host, connection, 'accept-encoding': encoding, ...headers } = asked.headers;
    const got = await fetch(url + asked.url, { method: asked.method, headers, body, redirect: 'manual' });
    const whole = Buffer.from(await got.arrayBuffer());
    const kept = [...got.headers].filter(([name]) => !['content-encoding', 'content-length', 'transfer-encoding', 'connection'].includes(name));
    answer.writeHead(got.status, { ...Object.fromEntries(kept), 'content-length': whole.length });
    if (cuts(asked.url)) answer.write(whole.subarray(0, whole.length / 2), () => answer.destroy());
    else answer.end(whole);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return { url: `http://127.0.0.1:${proxy.address().port}`, end: () => proxy.close() };
}

/** One browser for all tests. */
export async function browser() {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
}

/**
 * A page of its own context: its own tab, its own storage. Anything that the page reports as an error fails
 * the test, but for answers of the service, which the browser reports too.
 */
export async function open(chrome, url, options = {}) {
  const context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error.stack)));
  page.on('console', (message) => {
    const expected = message.text().startsWith('Failed to load resource');
    if (['error', 'warning'].includes(message.type()) && !expected) page.problems.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('blob:')) page.problems.push(`asked ${request.url()}`);
  });
  await page.goto(`${url}/console`);
  return page;
}

/** Signs in as a user of that name. */
export async function signIn(page, name, project = name) {
  await page.getByLabel('Project', { exact: true }).fill(project);
  await page.getByLabel('User', { exact: true }).fill(name);
  await page.getByLabel('Password').fill('secret');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
}

/** Opens the console as that user, by a token: quicker than a form. */
export async function enter(chrome, server, name, hash = '', options = {}) {
  const project = id_of_reader(name) ?? projectId(name);
  const session = {
    token: token(name),
    identity: `${server.url}/identity/v3`,
    user: name,
    project: { id: project, name: name.replace(/-reader$/, '') },
    roles: name.endsWith('-reader') ? ['reader'] : ['member', 'reader'],
  };
  const page = await open(chrome, server.url, options);
  await page.evaluate((value) => sessionStorage.setItem('imshare.session', value), JSON.stringify(session));
  await page.goto(`${server.url}/console${hash}`);
  await page.reload();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  return page;
}

/** Ends a page: nothing may have gone wrong in it. */
export async function close(page) {
  assert.deepEqual(page.problems, []);
  await page.context().close();
}

/** Keeps a picture, for people to look at. */
export async function shot(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** Whatever axe-core finds is a failure. */
export async function accessible(page, where) {
  // Colours that are still changing would be measured half-way.
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))));
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('\n')}`);
  assert.deepEqual(found, [], where);
}

/** Nothing is wider than the window, nor than the panel, the dialog or the card that it is in; no time takes two lines, and a field has room for its words. */
export async function fits(page, where) {
  const [content, window, wide] = await page.evaluate(() => {
    const boxes = [...document.querySelectorAll('dialog[open], .panel, .tray, .signin form')];
    const wide = boxes.flatMap((box) => {
      const end = box.getBoundingClientRect().right - Number.parseFloat(getComputedStyle(box).paddingRight);
      // What is cut or scrolls inside the box is that part's own.
      const parts = [...box.querySelectorAll(':not(.hidden, .entries *)')];
      return parts.filter((part) => part.getBoundingClientRect().right > end + 1);
    });
    const broken = [...document.querySelectorAll('time')].filter((time) => time.getClientRects().length > 1);
    const small = [...document.querySelectorAll('input:not([type=checkbox], [type=radio]), textarea')].filter((field) => field.offsetWidth < 120);
    return [document.documentElement.scrollWidth, innerWidth, [...wide, ...broken, ...small].map((part) => part.outerHTML)];
  });
  assert.ok(content <= window, `${where}: ${content} pixels in a window of ${window}`);
  assert.deepEqual(wide, [], where);
}

/** The row with this text in the main table. */
export function row(page, text) {
  return page.locator('.list tbody tr').filter({ hasText: text });
}

export function rows(page) {
  return page.locator('.list tbody tr');
}
