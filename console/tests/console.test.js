// The console in a real browser against a real server: every flow by mouse and by keyboard.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { accessible, browser, close, cutting, enter, fits, freeAddress, open, projectId, QUOTA, row, rows, Server, shot, signIn, token } from './harness.js';

/** Projects by test, and some that only have a name. */
const TESTS = ['plain', 'sign', 'mouse', 'keys', 'pages', 'all', 'vault', 'trust', 'share', 'many', 'unshare', 'windows', 'jobs', 'thousand', 'names', 'read', 'look', 'empty', 'error', 'old', 'cursor', 'aimed', 'reject', 'focus', 'undo', 'aloud', 'failed', 'draft', 'quick', 'dates', 'slow', 'cut'];
const OWNERS = TESTS.flatMap((name) => [`${name}-owner`, `${name}-member`]);
const OTHERS = Array.from({ length: 60 }, (_, index) => `other-${index}`);
const SCRIPT = '<script>window.hacked = true</script>';
const VAULT = '5ef9f7a1-c2d3-460a-9d0d-4c6b8f5a1e01';
const RTL = 'مشروع \u202eevil';

/** @type {Server} */
let server;
/** @type {import('playwright-core').Browser} */
let chrome;

before(async () => {
  server = await Server.start([...OWNERS, ...OTHERS, 'service', 'read-owner-reader', 'read-member-reader', RTL, SCRIPT]);
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  await server?.end();
});

const selection = (page) => page.getByRole('group', { name: 'Selection' });
const tray = (page) => page.getByRole('region', { name: 'Jobs started here' });
const panel = (page) => page.getByRole('complementary');
/** Waits until the focus is on exactly this element. */
const focusIs = async (page, locator) => page.waitForFunction((element) => document.activeElement === element, await locator.elementHandle());
const tab = (page, name) => page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name });

describe('the console', { concurrency: 3 }, () => {
  it('is small, cached, and allowed to load nothing from elsewhere', async () => {
    const page = await fetch(`${server.url}/console`);
    const policy = page.headers.get('content-security-policy');
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self'/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(page.headers.get('cache-control'), 'no-cache');
    const text = await page.text();
    const files = [...text.matchAll(/(?:href|src)="(console\/[^"]+)"/g)].map(([, path]) => path);
    let compressed = 0;
    for (const path of new Set(['console', ...files])) {
      const response = await raw(`/${path}`);
      compressed += response.body.length;
      assert.ok(gunzipSync(response.body).length > 0, path);
      const again = await fetch(`${server.url}/${path}`, { headers: { 'If-None-Match': response.headers.etag } });
      assert.equal(again.status, 304, path);
      if (path !== 'console') assert.match(response.headers['cache-control'], /immutable/);
    }
    console.log(`${compressed} bytes compressed, ${files.length + 1} files`);
    assert.ok(compressed < 60000, `${compressed} bytes`);
    assert.equal((await fetch(`${server.url}/console/none/src/main.js`)).status, 404);
    assert.equal((await fetch(`${server.url}/console`, { method: 'POST' })).status, 405);
    assert.equal((await fetch(`${server.url}/console/`)).url, `${server.url}/console`);
  });

  it('signs in by password and by token, for this tab only', async () => {
    const page = await open(chrome, server.url);
    await accessible(page, 'signing in');
    await fits(page, 'signing in');
    // Nobody answers, and then somebody does.
    await page.route('**/v2/images?*', (route) => route.abort());
    await page.reload();
    await page.getByRole('alert').getByText('The service does not answer.').waitFor();
    await page.unroute('**/v2/images?*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await shot(page, 'sign-in');
    await page.getByLabel('Project', { exact: true }).fill('sign-owner');
    await page.getByLabel('User', { exact: true }).fill('sign-owner');
    await page.getByLabel('Password').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('is wrong').waitFor();
    await page.getByText(/req-[0-9a-f-]{36}/).waitFor();
    await signIn(page, 'sign-owner');
    await page.reload();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    const other = await page.context().newPage();
    await other.goto(`${server.url}/console`);
    await other.getByRole('button', { name: 'Sign in' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Use a token' }).click();
    await page.getByLabel('Token', { exact: true }).fill('not-a-token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('The token is not valid').waitFor();
    await page.getByLabel('Token', { exact: true }).fill(token('sign-owner'));
    await page.keyboard.press('Enter');
    await page.getByRole('banner').getByText(projectId('sign-owner')).waitFor();
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    await close(page);
  });

  it('signs in at an identity service of another origin, if that allows it', async () => {
    const listen = await freeAddress();
    // Another server's identity service stands in for Keystone.
    const identity = await Server.start(['apart', 'service'], { args: ['--cors-origins', `http://${listen}`] });
    const env = { KEYSTONE_USERNAME: 'service', KEYSTONE_PASSWORD: 'secret', KEYSTONE_PROJECT: 'service' };
    const apart = await Server.start([], { listen, env, args: ['--keystone-url', `${identity.url}/identity/v3`] });
    try {
      const page = await open(chrome, apart.url);
      // A Keystone that does not allow the page is for the browser one that does not answer.
      await page.route(`${identity.url}/**`, (route) => route.abort());
      await page.getByLabel('Project', { exact: true }).fill('apart');
      await page.getByLabel('User', { exact: true }).fill('apart');
      await page.getByLabel('Password').fill('secret');
      await page.keyboard.press('Enter');
      await page.getByText(`The identity service ${new URL(identity.url).host} does not answer this page.`).waitFor();
      await page.unroute(`${identity.url}/**`);
      await signIn(page, 'apart');
      await page.getByRole('banner').getByText(projectId('apart')).waitFor();
      await tab(page, 'My images').click();
      await page.getByRole('heading', { name: 'This project has no images' }).waitFor();
      // Nothing but the service and its identity service was asked.
      assert.deepEqual(page.problems.filter((problem) => !problem.startsWith(`asked ${identity.url}/identity/v3/`)), []);
      await page.context().close();
    } finally {
      await apart.end();
      await identity.end();
    }
  });

  it('asks to sign in again when the session has ended, and goes on where it was', async () => {
    const page = await open(chrome, server.url);
    await signIn(page, 'sign-member');
    await tab(page, 'Jobs').click();
    const session = JSON.parse(await page.evaluate(() => sessionStorage.getItem('imshare.session')));
    const headers = { 'X-Auth-Token': session.token, 'X-Subject-Token': session.token };
    await fetch(`${server.url}/identity/v3/auth/tokens`, { method: 'DELETE', headers });
    // The list of jobs is loaded again every few seconds.
    await page.getByText('Your session has ended.').waitFor();
    await page.getByLabel('Password').fill('secret');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'No jobs yet' }).waitFor();
    await close(page);
  });

  it('accepts, rejects and takes back by mouse; filters are in the address', async () => {
    const ids = [await server.image('mouse-owner', 'alpha'), await server.image('mouse-owner', 'beta'), await server.image('other-1', 'gamma')];
    await server.share('mouse-owner', ids.slice(0, 2), ['mouse-member']);
    await server.share('other-1', ids.slice(2), ['mouse-member']);
    const page = await enter(chrome, server, 'mouse-member');
    await page.getByText('3 images from 2 projects wait for your answer.').waitFor();
    // The title follows when the page is painted.
    await page.waitForFunction(() => document.title.startsWith('(3)'));
    await page.getByRole('button', { name: 'Accept alpha' }).click();
    await page.getByText('alpha is accepted.').waitFor();
    await row(page, 'alpha').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await row(page, 'alpha').waitFor();
    await page.getByRole('button', { name: 'Reject beta' }).click();
    await row(page, 'beta').waitFor({ state: 'detached' });
    await page.getByRole('radio', { name: 'Rejected' }).check({ force: true });
    await row(page, 'beta').waitFor();
    assert.match(page.url(), /#\/shared\?status=rejected$/);
    await page.getByRole('radio', { name: 'All' }).check({ force: true });
    await row(page, 'gamma').waitFor();
    await page.getByRole('searchbox', { name: 'Owner' }).fill('other-1');
    await row(page, 'alpha').waitFor({ state: 'detached' });
    assert.match(page.url(), new RegExp(`owner=${projectId('other-1')}`));
    await page.reload();
    await row(page, 'gamma').waitFor();
    assert.equal(await rows(page).count(), 1);
    assert.equal(await page.getByRole('searchbox', { name: 'Owner' }).inputValue(), 'other-1');
    await page.goBack();
    await row(page, 'alpha').waitFor();
    await page.getByRole('searchbox', { name: 'Exact name' }).fill('nothing');
    await page.getByRole('heading', { name: 'No image fits these filters' }).waitFor();
    await page.getByText('A name must be the whole name.').waitFor();
    await page.getByRole('searchbox', { name: 'Owner' }).fill('nobody');
    await page.getByRole('heading', { name: 'No project is called “nobody”' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'No project is called “nobody”' }).waitFor();
    await page.getByRole('button', { name: 'Clear the filters' }).click();
    await row(page, 'alpha').locator('td.main').click();
    await panel(page).getByText(ids[0]).waitFor();
    await panel(page).getByRole('button', { name: 'Accept' }).click();
    await panel(page).getByText('accepted', { exact: true }).waitFor();
    assert.equal((await server.invitations('mouse-member', 'status=accepted'))[0].image_name, 'alpha');
    await close(page);
  });

  it('does the same by keyboard', async () => {
    await server.share('keys-owner', await server.images('keys-owner', 5, 'key'), ['keys-member']);
    const page = await enter(chrome, server, 'keys-member');
    await rows(page).nth(4).waitFor();
    const names = (await server.invitations('keys-member')).map(({ image_name }) => image_name);
    const focused = () => page.evaluate(() => document.activeElement?.closest('tr')?.querySelector('.name')?.textContent);
    await page.keyboard.press('j');
    assert.equal(await focused(), names[0]);
    await page.keyboard.press('j');
    assert.equal(await focused(), names[1]);
    await page.keyboard.press('k');
    await page.keyboard.press('a');
    await row(page, names[0]).waitFor({ state: 'detached' });
    await page.waitForFunction((name) => document.activeElement?.closest('tr')?.textContent?.includes(name), names[1]);
    await page.keyboard.press('r');
    await row(page, names[1]).waitFor({ state: 'detached' });
    await page.keyboard.press('x');
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    await selection(page).getByText('2 images selected').waitFor();
    await page.keyboard.press('Escape');
    await selection(page).waitFor({ state: 'detached' });
    await page.keyboard.press('Enter');
    await panel(page).waitFor();
    await page.keyboard.press('Escape');
    await panel(page).waitFor({ state: 'detached' });
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await accessible(page, 'keyboard help');
    await page.keyboard.press('Escape');
    await page.keyboard.press('/');
    await page.keyboard.type(names[2]);
    await row(page, names[3]).waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    for (const [keys, heading] of [['gm', 'My images'], ['gj', 'Jobs'], ['gs', 'Shared with me']]) {
      for (const key of keys) await page.keyboard.press(key);
      await page.getByRole('heading', { level: 1, name: heading }).waitFor({ state: 'attached' });
    }
    await page.keyboard.press('g');
    await page.keyboard.press('t');
    await panel(page).getByRole('heading', { name: 'Trusted owners' }).waitFor();
    // A letter in a field is a letter.
    await panel(page).getByLabel('Project').focus();
    await page.keyboard.type('gjx?');
    assert.equal(await panel(page).getByLabel('Project').inputValue(), 'gjx?');
    await close(page);
  });

  it('keeps its keys with the row that has the focus while others arrive', async () => {
    // The newest first, and of one second the highest id: so each is above the one before.
    const arrive = async (name, digit) => {
      const id = await server.image('cursor-owner', { name, id: `${digit}0000000-0000-4000-8000-000000000000` });
      await server.share('cursor-owner', [id], ['cursor-member']);
    };
    await arrive('below', 1);
    await arrive('top', 2);
    const page = await enter(chrome, server, 'cursor-member');
    await row(page, 'top').waitFor();
    await page.keyboard.press('j');
    await arrive('newcomer', 3);
    await page.evaluate(() => dispatchEvent(new Event('focus')));
    await row(page, 'newcomer').waitFor();
    await page.keyboard.press('x');
    await selection(page).getByText('1 image selected').waitFor();
    assert.equal(await page.getByRole('checkbox', { name: 'Select top' }).isChecked(), true);
    await page.keyboard.press('x');
    await page.keyboard.press('r');
    await page.getByText('top is rejected.').waitFor();
    await focusIs(page, row(page, 'below'));
    assert.deepEqual((await server.invitations('cursor-member', 'status=rejected')).map(({ image_name }) => image_name), ['top']);
    // A button of a row has its row's keys.
    await page.getByRole('button', { name: 'Accept below' }).focus();
    await page.getByRole('button', { name: 'Accept newcomer' }).focus();
    await page.keyboard.press('a');
    await page.getByText('newcomer is accepted.').waitFor();
    await close(page);
  });

  it('answers by key only for what has the focus, is selected or is open', async () => {
    const ids = await server.images('aimed-owner', 3, 'aim');
    await server.share('aimed-owner', ids, ['aimed-member']);
    const page = await enter(chrome, server, 'aimed-member');
    await rows(page).nth(2).waitFor();
    const puts = [];
    page.on('request', (request) => request.method() === 'PUT' && puts.push(request.url()));
    const nothing = async () => {
      for (const key of 'arx') await page.keyboard.press(key);
    };
    await nothing();
    await tab(page, 'Jobs').focus();
    await nothing();
    await page.getByRole('button', { name: 'Trusted owners' }).click();
    await panel(page).getByRole('heading', { name: 'Trusted owners' }).waitFor();
    await nothing();
    await page.keyboard.press('Escape');
    // The last row opens its panel: then the keys are for that image, wherever it is in the list.
    const last = await rows(page).last().locator('.name').innerText();
    await rows(page).last().locator('td.main').click();
    await panel(page).getByRole('button', { name: 'Accept' }).waitFor();
    await page.keyboard.press('a');
    await page.getByText(`${last} is accepted.`).waitFor();
    await row(page, last).waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await page.getByRole('checkbox', { name: 'Select this page' }).check();
    await tab(page, 'Jobs').focus();
    await page.keyboard.press('a');
    await tray(page).getByText('2 entries done').waitFor();
    assert.equal(puts.length, 2);
    assert.equal(await selection(page).count(), 0);
    assert.equal((await server.invitations('aimed-member', 'status=accepted')).length, 3);
    await close(page);
  });

  it('says aloud what a filter, a page or a rule has changed', async () => {
    await server.images('aloud-owner', 52, 'said');
    const page = await enter(chrome, server, 'aloud-owner', '#/images');
    const said = (text) => page.locator('[aria-live=polite]').getByText(text, { exact: true }).waitFor({ state: 'attached' });
    await said('Page 1, 50 rows');
    await page.getByRole('button', { name: 'Next' }).click();
    await said('Page 2, 2 rows');
    const name = page.getByRole('searchbox', { name: 'Exact name' });
    await name.fill('said-1');
    await said('1 image');
    // The same words again are said again.
    const before = await page.locator('[aria-live=polite] > *').elementHandle();
    await name.fill('said-2');
    await row(page, 'said-2').waitFor();
    await page.waitForFunction((element) => !element.isConnected, before);
    await said('1 image');
    await name.fill('said');
    await said('No image fits these filters');
    await page.goto(`${server.url}/console#/shared?open=trusted`);
    await panel(page).getByLabel('Project').fill('other-1');
    await panel(page).getByLabel('Images are').selectOption('reject');
    await panel(page).getByRole('button', { name: 'Add' }).click();
    await said('What other-1 shares is rejected at once.');
    await panel(page).getByRole('button', { name: 'Remove the rule for other-1', exact: true }).click();
    await said('What other-1 shares waits for your answer.');
    await close(page);
  });

  it('gives the focus to what is next when its place goes away', async () => {
    const ids = await server.images('focus-owner', 60, 'place');
    const [shared] = await server.images('focus-owner', 1, 'lent');
    await server.share('focus-owner', [shared], OTHERS.slice(0, 2));
    await server.share('focus-owner', ids.slice(0, 2), ['focus-member']);
    const page = await open(chrome, server.url);
    await focusIs(page, page.getByLabel('Project', { exact: true }));
    await signIn(page, 'focus-owner');
    await focusIs(page, page.getByRole('heading', { level: 1 }));
    await page.goto(`${server.url}/console#/images?open=${shared}`);
    const dialog = page.getByRole('dialog');
    for (const left of [OTHERS[1], undefined]) {
      await panel(page).getByRole('button', { name: /^Unshare with/ }).first().focus();
      await page.keyboard.press('Enter');
      await dialog.getByRole('button', { name: 'Unshare' }).focus();
      await page.keyboard.press('Enter');
      await panel(page).getByRole('row', { name: /other-/ }).nth(left ? 1 : 0).waitFor({ state: 'detached' });
      await focusIs(page, left ? panel(page).getByRole('button', { name: `Unshare with ${left}` }) : panel(page).getByRole('heading'));
    }
    await page.keyboard.press('Escape');
    await rows(page).nth(49).waitFor();
    await page.getByRole('button', { name: 'Next' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Page 2 ·').waitFor();
    await focusIs(page, rows(page).first());
    await page.keyboard.press('x');
    await selection(page).getByRole('button', { name: 'Share…' }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.type('other-5');
    await dialog.getByRole('button', { name: 'Share with 1 project' }).focus();
    await page.keyboard.press('Enter');
    await dialog.waitFor({ state: 'detached' });
    await focusIs(page, rows(page).first());
    await page.evaluate(() => sessionStorage.setItem('imshare.session', JSON.stringify({ ...JSON.parse(sessionStorage.getItem('imshare.session')), token: 'ended' })));
    await page.reload();
    await focusIs(page, page.getByLabel('Password'));
    await close(page);
    const member = await enter(chrome, server, 'focus-member');
    await member.getByRole('button', { name: 'Accept all' }).focus();
    await member.keyboard.press('Enter');
    await member.getByRole('dialog').getByRole('button', { name: 'Accept 2 images' }).focus();
    await member.keyboard.press('Enter');
    await tray(member).getByText('2 entries done').waitFor();
    await member.getByRole('heading', { name: 'Nothing waits for your answer' }).waitFor();
    await focusIs(member, member.getByRole('heading', { level: 1 }));
    await close(member);
  });

  it('selects over pages and answers with one batch', async () => {
    await server.share('pages-owner', await server.images('pages-owner', 120, 'page'), ['pages-member']);
    const page = await enter(chrome, server, 'pages-member');
    const batches = [];
    page.on('request', (request) => {
      if (request.method() === 'PUT') batches.push(request.postDataJSON());
    });
    await rows(page).nth(49).waitFor();
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('Page 2 ·').waitFor();
    await rows(page).first().getByRole('checkbox').check();
    const second = await rows(page).first().innerText();
    await page.keyboard.press('n');
    await page.getByText('Page 3 · 20 rows').waitFor();
    await page.reload();
    await page.getByText('Page 3 · 20 rows').waitFor();
    await page.keyboard.press('p');
    await page.getByText('Page 2 ·').waitFor();
    assert.equal(await rows(page).first().innerText(), second);
    await page.getByRole('checkbox', { name: 'Select this page' }).check();
    await page.getByRole('button', { name: 'Previous' }).click();
    await page.getByText('Page 1 ·').waitFor();
    await selection(page).getByText('50 images selected').waitFor();
    await selection(page).getByRole('button', { name: 'Select all 120' }).click();
    await selection(page).getByText('120 images selected').waitFor();
    await shot(page, 'selection-over-pages');
    await page.keyboard.press('a');
    await tray(page).getByText('120 entries done').waitFor();
    await page.getByRole('heading', { name: 'Nothing waits for your answer' }).waitFor();
    assert.equal(batches.length, 1);
    assert.equal(batches[0].images.length, 120);
    await tab(page, 'My images').click();
    await tray(page).getByText('Accept 120 images').waitFor();
    await page.reload();
    await tray(page).getByText('120 entries done').waitFor();
    await tray(page).getByRole('button', { name: 'Dismiss' }).click();
    await page.reload();
    await tab(page, 'Jobs').click();
    await row(page, '120').waitFor();
    assert.equal(await tray(page).count(), 0);
    await close(page);
  });

  it('asks before it rejects several images', async () => {
    await server.share('reject-owner', await server.images('reject-owner', 3, 'away'), ['reject-member']);
    const page = await enter(chrome, server, 'reject-member');
    await rows(page).nth(2).waitFor();
    await page.getByRole('checkbox', { name: 'Select this page' }).check();
    const dialog = page.getByRole('dialog', { name: 'Reject 3 images?' });
    await page.keyboard.press('r');
    await dialog.getByText('You can accept them later under Rejected.').waitFor();
    await focusIs(page, dialog.getByRole('button', { name: 'Cancel' }));
    await accessible(page, 'reject');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal((await server.invitations('reject-member', 'status=pending')).length, 3);
    await selection(page).getByRole('button', { name: 'Reject' }).click();
    await dialog.getByRole('button', { name: 'Reject 3 images' }).click();
    await tray(page).getByText('3 entries done').waitFor();
    assert.equal((await server.invitations('reject-member', 'status=rejected')).length, 3);
    await close(page);
  });

  it('offers to undo an answer for as long as somebody may press it', async () => {
    await server.share('undo-owner', await server.images('undo-owner', 1, 'back'), ['undo-member']);
    const page = await enter(chrome, server, 'undo-member');
    await page.clock.install();
    const puts = [];
    page.on('request', (request) => request.method() === 'PUT' && puts.push(request.url()));
    const undo = page.getByRole('button', { name: 'Undo' });
    const later = () => page.clock.fastForward(11000);
    await page.getByRole('button', { name: 'Accept back-1' }).click();
    await undo.focus();
    await later();
    await focusIs(page, undo);
    await undo.hover();
    await tab(page, 'Jobs').focus();
    await later();
    assert.equal(await undo.isVisible(), true);
    await page.mouse.move(0, 0);
    await later();
    await undo.waitFor({ state: 'detached' });
    await page.keyboard.press('u');
    await page.getByText('back-1 is pending again.').waitFor();
    await row(page, 'back-1').waitFor();
    await page.keyboard.press('u');
    assert.equal(puts.length, 2, 'an answer is undone once');
    await close(page);
  });

  it('loses no answer that failed, however quickly the next was given', async () => {
    const ids = [];
    for (const name of ['first', 'second', 'third']) ids.push(await server.image('quick-owner', name));
    await server.share('quick-owner', ids, ['quick-member']);
    const page = await enter(chrome, server, 'quick-member');
    const button = (name) => page.getByRole('button', { name, exact: true });
    await button('Accept third').waitFor();
    let failing = ids.slice(0, 2);
    await page.route('**/members/*', (route) =>
      failing.some((id) => route.request().url().includes(id))
        ? route.fulfill({ status: 500, contentType: 'application/json', body: '{"message": "Something failed."}' })
        : route.continue(),
    );
    // All are pressed before the first has an answer.
    await page.evaluate(() => {
      for (const name of ['Accept first', 'Reject second', 'Accept third']) document.querySelector(`[aria-label="${name}"]`).click();
    });
    await page.getByText('third is accepted.').waitFor();
    const alert = page.locator('.list').getByRole('alert');
    await alert.getByText('first, second are not accepted or rejected yet: Something failed.').waitFor();
    failing = ids.slice(0, 1);
    await alert.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('second is rejected.').waitFor();
    await alert.getByText('first is not accepted yet: Something failed.').waitFor();
    failing = [];
    // Another answer for the same image takes the place of the one that failed.
    await button('Reject first').click();
    await page.getByText('first is rejected.').waitFor();
    await alert.waitFor({ state: 'detached' });
    assert.deepEqual((await server.invitations('quick-member')).map((row) => [row.image_name, row.status]).sort(), [
      ['first', 'rejected'],
      ['second', 'rejected'],
      ['third', 'accepted'],
    ]);
    await close(page);
  });

  it('accepts all that waits, as it was asked', async () => {
    await server.share('all-owner', await server.images('all-owner', 3), ['all-member']);
    await server.share('other-2', await server.images('other-2', 4), ['all-member']);
    const page = await enter(chrome, server, 'all-member', '#/jobs');
    await page.getByText('7 images from 2 projects wait for your answer.').waitFor();
    await page.getByRole('button', { name: 'Accept all' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('other-2').waitFor();
    await focusIs(page, dialog.getByRole('button', { name: 'Cancel' }));
    await accessible(page, 'accept all');
    await shot(page, 'accept-all');
    await dialog.getByRole('button', { name: 'Accept 7 images' }).click();
    await tray(page).getByText('7 entries done').waitFor();
    await page.getByText('wait for your answer').waitFor({ state: 'detached' });
    assert.equal((await server.invitations('all-member', 'status=accepted')).length, 7);
    await close(page);
  });

  it('asks for a vault where an image needs one', async () => {
    const backup = (name) => server.image('vault-owner', { name, __backup_id: 'b' });
    const ids = [await backup('single'), await backup('double'), await server.image('vault-owner', 'simple'), await backup('late'), await backup('later')];
    await server.share('vault-owner', ids, ['vault-member']);
    const page = await enter(chrome, server, 'vault-member');
    const dialog = page.getByRole('dialog', { name: 'Choose a vault' });
    await page.getByRole('button', { name: 'Accept single' }).waitFor();
    // Of two that are accepted at once neither is forgotten.
    await page.evaluate(() => {
      for (const name of ['single', 'late']) document.querySelector(`[aria-label="Accept ${name}"]`).click();
    });
    await dialog.getByText('2 images were made from a backup').waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Accept single' }).click();
    await dialog.getByText('This image was made from a backup').waitFor();
    await accessible(page, 'vault');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Accept single' }).click();
    await dialog.waitFor();
    await page.keyboard.type('vault');
    await dialog.getByText('The id of a vault is a UUID.').waitFor();
    await dialog.getByLabel('Vault id').fill(VAULT);
    await page.keyboard.press('Enter');
    await page.getByText('single is accepted.').waitFor();
    for (const name of ['double', 'simple']) await row(page, name).getByRole('checkbox').check();
    await selection(page).getByRole('button', { name: 'Accept' }).click();
    await dialog.getByText('1 of the 2 images').waitFor();
    await dialog.getByLabel('Vault id').fill(VAULT);
    await dialog.getByRole('button', { name: 'Accept with this vault' }).click();
    await tray(page).getByText('2 entries done').waitFor();
    // A batch that nobody has looked at before: the job asks afterwards.
    await page.getByText('2 images from vault-owner wait for your answer.').waitFor();
    await page.getByRole('button', { name: 'Accept all' }).click();
    await page.getByRole('button', { name: 'Accept 2 images', exact: true }).click();
    await tray(page).getByRole('button', { name: 'Choose a vault and repeat' }).click();
    await dialog.getByLabel('Vault id').fill(VAULT);
    await page.keyboard.press('Enter');
    await tray(page).getByText('2 entries done').nth(1).waitFor();
    assert.equal((await server.invitations('vault-member', 'status=accepted')).length, 5);
    await close(page);
  });

  it('keeps the trusted owners, and notices when somebody else has changed them', async () => {
    const page = await enter(chrome, server, 'trust-member', '#/shared?open=trusted');
    const other = await enter(chrome, server, 'trust-member', '#/shared?open=trusted');
    await panel(page).getByText('You trust no owner yet.').waitFor();
    await panel(other).getByText('You trust no owner yet.').waitFor();
    await panel(page).getByLabel('Project').fill('nobody-has-this-name');
    await panel(page).getByRole('button', { name: 'Add' }).click();
    await panel(page).getByText('No project has this id or name.').waitFor();
    await panel(page).getByLabel('Project').fill('trust-owner');
    await page.keyboard.press('Enter');
    await panel(page).getByRole('row', { name: /trust-owner.*accepted/ }).waitFor();
    await panel(other).getByLabel('Project').fill('other-3');
    await panel(other).getByLabel('Images are').selectOption('reject');
    await panel(other).getByRole('button', { name: 'Add' }).click();
    await panel(other).getByText('Somebody else has changed these rules').waitFor();
    await panel(other).getByRole('row', { name: /trust-owner/ }).waitFor();
    await panel(other).getByRole('button', { name: 'Add' }).click();
    await panel(other).getByRole('row', { name: /other-3.*rejected/ }).waitFor();
    await accessible(other, 'trusted owners');
    await shot(other, 'trusted-owners');
    await server.share('trust-owner', [await server.image('trust-owner', 'trusted')], ['trust-member']);
    await tab(page, 'Shared with me').click();
    await page.getByRole('radio', { name: 'Accepted' }).check({ force: true });
    await row(page, 'trusted').waitFor();
    await panel(other).getByRole('button', { name: /Remove the rule for/ }).first().click();
    await panel(other).getByRole('row', { name: /trust-owner/ }).waitFor({ state: 'detached' });
    await close(page);
    await close(other);
  });

  it('checks projects as they are typed, and shares', async () => {
    const id = await server.image('share-owner', 'target');
    await server.share('share-owner', [id], ['share-member']);
    const page = await enter(chrome, server, 'share-owner', '#/images');
    await page.getByRole('img', { name: `0 accepted, 1 pending, 0 rejected of ${QUOTA}` }).waitFor();
    await row(page, 'target').focus();
    await page.keyboard.press('s');
    const dialog = page.getByRole('dialog', { name: 'Share target' });
    const list = dialog.getByRole('list', { name: 'Projects as typed' });
    await page.keyboard.type(`other-1, other-2\n${projectId('other-3')} other-1 nobody share-member share-owner`);
    await list.getByRole('listitem').filter({ hasText: 'other-3' }).waitFor();
    for (const [name, words] of [['other-1', 'is there twice'], ['nobody', 'no project has this id or name'], ['share-member', 'has it already'], ['share-owner', 'is your own project']]) {
      await list.getByRole('listitem').filter({ hasText: name }).filter({ hasText: words }).waitFor();
    }
    await dialog.getByText(`Room for ${QUOTA - 4} more of ${QUOTA}.`).waitFor();
    assert.equal(await dialog.getByRole('button', { name: 'Share with 3 projects' }).getAttribute('aria-disabled'), 'true');
    await accessible(page, 'share');
    await shot(page, 'share');
    await dialog.getByRole('button', { name: 'Remove the one that cannot be found' }).click();
    await dialog.getByRole('button', { name: 'Share with 3 projects' }).click();
    await tray(page).getByText('3 entries done').waitFor();
    await page.getByRole('img', { name: `0 accepted, 4 pending, 0 rejected of ${QUOTA}` }).waitFor();
    // One project is one call, told at once.
    await page.getByRole('button', { name: 'Share target', exact: true }).click();
    await page.keyboard.type('other-4');
    await dialog.getByRole('button', { name: 'Share with 1 project' }).click();
    await page.getByText('target is shared with other-4: pending.').waitFor();
    // More than fit.
    await page.getByRole('button', { name: 'Share target', exact: true }).click();
    await dialog.getByLabel('Projects').fill(OTHERS.slice(5, 45).join('\n'));
    await dialog.getByText(`5 projects too many: there is room for ${QUOTA - 5}.`).waitFor();
    await page.keyboard.press('Escape');
    await close(page);
  });

  it('loses no text that was typed', async () => {
    const id = await server.image('draft-owner', 'drafted');
    const page = await open(chrome, server.url);
    await signIn(page, 'draft-owner');
    await tab(page, 'My images').click();
    const dialog = page.getByRole('dialog', { name: 'Share drafted' });
    const text = dialog.getByRole('textbox', { name: 'Projects' });
    await page.getByRole('button', { name: 'Share drafted' }).click();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Share drafted' }).click();
    await page.keyboard.type('other-7');
    // Nothing is pressed between: then the browser would close it at the second time.
    for (let times = 0; times < 3; times += 1) await page.keyboard.press('Escape');
    await dialog.getByText('Discard what you have typed?').waitFor();
    await accessible(page, 'discard');
    await dialog.getByRole('button', { name: 'Keep it' }).click();
    await dialog.getByRole('button', { name: 'Share with 1 project' }).waitFor();
    const { token: ending } = JSON.parse(await page.evaluate(() => sessionStorage.getItem('imshare.session')));
    await fetch(`${server.url}/identity/v3/auth/tokens`, { method: 'DELETE', headers: { 'X-Auth-Token': ending, 'X-Subject-Token': ending } });
    await dialog.getByRole('button', { name: 'Share with 1 project' }).click();
    await page.getByText('Your session has ended.').waitFor();
    await page.getByLabel('Password').fill('secret');
    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: 'Share with 1 project' }).waitFor();
    assert.equal(await text.inputValue(), 'other-7');
    await page.keyboard.press('Escape');
    await dialog.getByRole('button', { name: 'Discard' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.reload();
    await row(page, 'drafted').waitFor();
    await page.getByRole('button', { name: 'Share drafted' }).click();
    assert.equal(await text.inputValue(), '');
    await page.keyboard.type('other-7');
    await dialog.getByRole('button', { name: 'Share with 1 project' }).click();
    await page.getByText('drafted is shared with other-7: pending.').waitFor();
    assert.equal(await page.evaluate(() => Object.keys(sessionStorage).some((key) => key.includes('draft '))), false);
    assert.equal((await server.call('draft-owner', 'GET', `/v2/images/${id}/members`)).members.length, 1);
    await close(page);
  });

  it('shares a selection of images by one batch', async () => {
    await server.images('many-owner', 3, 'several');
    await server.image('many-owner', { name: 'hidden', visibility: 'private' });
    const page = await enter(chrome, server, 'many-owner', '#/images');
    await rows(page).nth(3).waitFor();
    const off = page.getByRole('button', { name: 'Share hidden' });
    assert.equal(await off.getAttribute('aria-disabled'), 'true');
    assert.match(await off.getAttribute('title'), /private/);
    await page.getByRole('checkbox', { name: 'Select this page' }).check();
    await selection(page).getByText('1 cannot be shared').waitFor();
    await selection(page).getByRole('button', { name: 'Share…' }).click();
    await page.getByRole('dialog', { name: 'Share 3 images' }).waitFor();
    await page.keyboard.type('many-member other-1');
    await page.getByRole('button', { name: 'Share with 2 projects' }).click();
    await tray(page).getByText('6 entries done').waitFor();
    assert.equal((await server.invitations('many-member')).length, 3);
    await close(page);
  });

  it('says what unsharing ends, and ends it', async () => {
    const id = await server.image('unshare-owner', 'ending');
    await server.share('unshare-owner', [id], ['unshare-member', ...OTHERS.slice(0, 4)]);
    for (const [name, status] of [['unshare-member', 'accepted'], ['other-0', 'rejected']]) {
      await server.call(name, 'PUT', `/v2/images/${id}/members/${projectId(name)}`, { status });
    }
    const page = await enter(chrome, server, 'unshare-owner', `#/images?open=${id}`);
    const dialog = page.getByRole('dialog');
    await panel(page).getByRole('row', { name: /unshare-member/ }).waitFor();
    await accessible(page, 'members');
    await shot(page, 'members');
    await panel(page).getByRole('button', { name: 'Unshare with unshare-member' }).click();
    await dialog.getByText('1 project uses the image and can no longer see it, at once.').waitFor();
    await focusIs(page, dialog.getByRole('button', { name: 'Cancel' }));
    await accessible(page, 'unshare');
    await dialog.getByRole('button', { name: 'Unshare' }).click();
    await page.getByText('ending is no longer shared with unshare-member.').waitFor();
    await panel(page).getByRole('row', { name: /unshare-member/ }).waitFor({ state: 'detached' });
    await panel(page).getByPlaceholder('Find a member').fill('other-3');
    assert.equal(await panel(page).getByRole('checkbox', { name: /^Select other-/ }).count(), 1);
    await panel(page).getByPlaceholder('Find a member').fill('');
    await panel(page).getByRole('checkbox', { name: 'Select all members' }).check();
    await panel(page).getByRole('button', { name: 'Unshare…', exact: true }).click();
    await dialog.getByText('3 projects can no longer answer').waitFor();
    await dialog.getByText('1 project had rejected the image.').waitFor();
    await dialog.getByRole('button', { name: 'Unshare' }).click();
    await tray(page).getByText('4 entries done').waitFor();
    await panel(page).getByText('Nobody has this image but your project.').waitFor();
    await close(page);
  });

  it('keeps two projects in two windows in step', async () => {
    const id = await server.image('windows-owner', 'between');
    const owner = await enter(chrome, server, 'windows-owner', '#/images');
    const member = await enter(chrome, server, 'windows-member');
    const look = (page) => page.evaluate(() => dispatchEvent(new Event('focus')));
    await member.getByRole('heading', { name: 'Nothing waits for your answer' }).waitFor();
    await owner.getByRole('button', { name: 'Share between' }).click();
    await owner.keyboard.type('windows-member');
    await owner.getByRole('button', { name: 'Share with 1 project' }).click();
    await owner.getByText('is shared with').waitFor();
    await look(member);
    await member.getByRole('button', { name: 'Accept between' }).click();
    await member.getByText('between is accepted.').waitFor();
    await look(owner);
    await owner.getByRole('img', { name: `1 accepted, 0 pending, 0 rejected of ${QUOTA}` }).waitFor();
    await member.getByRole('radio', { name: 'Accepted' }).check({ force: true });
    await row(member, 'between').waitFor();
    await row(owner, 'between').locator('td.main').click();
    await owner.getByRole('button', { name: 'Unshare with windows-member' }).click();
    await owner.getByRole('dialog').getByRole('button', { name: 'Unshare' }).click();
    await owner.getByText('is no longer shared').waitFor();
    await look(member);
    await row(member, 'the owner has taken this image back').waitFor();
    await accessible(member, 'taken back');
    await shot(member, 'taken-back');
    // And when it is noticed only by answering.
    await server.share('windows-owner', [id], ['windows-member']);
    await member.getByRole('radio', { name: 'Waiting' }).check({ force: true });
    await row(member, 'between').waitFor();
    await member.route('**/cloudimages/invitations?*', () => {});
    await server.call('windows-owner', 'DELETE', `/v2/images/${id}/members/${projectId('windows-member')}`);
    await member.getByRole('button', { name: 'Reject between' }).click();
    await row(member, 'the owner has taken this image back').waitFor();
    await close(owner);
    await close(member);
  });

  it('groups failures by reason, repeats them and saves them', async () => {
    const full = await server.image('jobs-owner', 'full');
    const free = await server.image('jobs-owner', 'free');
    await server.share('jobs-owner', [full], OTHERS.slice(0, QUOTA));
    await server.share('jobs-owner', [full, free, '00000000-0000-4000-8000-000000000000'], ['other-58', 'other-59']);
    const page = await enter(chrome, server, 'jobs-owner', '#/jobs');
    await page.getByRole('radio', { name: 'Failed' }).check({ force: true });
    await row(page, '2 done, 4 failed').locator('td.main').click();
    await panel(page).getByText('Why entries failed').waitFor();
    assert.equal(await panel(page).locator('details').count(), 2);
    await panel(page).getByText('IMG.0088').waitFor();
    await accessible(page, 'job');
    await shot(page, 'job-failed');
    // What no repeat helps against is not what the page proposes first.
    const repeat = panel(page).getByRole('button', { name: 'Repeat what failed' });
    assert.doesNotMatch(await repeat.getAttribute('class'), /primary/);
    const [file] = await Promise.all([page.waitForEvent('download'), panel(page).getByRole('button', { name: 'Save results as CSV' }).click()]);
    const lines = readFileSync(await file.path(), 'utf8').trim().split('\r\n');
    assert.equal(lines.length, 7);
    assert.equal(lines[0], 'image_id,project_id,status,changed,error_code,fail_reason');
    assert.equal(lines.filter((line) => line.includes('IMG.0088')).length, 2);
    // Room for one: one of the two succeeds this time.
    await server.call('jobs-owner', 'DELETE', `/v2/images/${full}/members/${projectId('other-0')}`);
    const sent = [];
    page.on('request', (request) => {
      if (request.method() === 'POST') sent.push(request.postDataJSON());
    });
    await repeat.click();
    await tray(page).getByText('1 done, 3 failed').waitFor();
    assert.deepEqual(sent, [{ images: [full, '00000000-0000-4000-8000-000000000000'], projects: [projectId('other-58'), projectId('other-59')] }]);
    await tray(page).getByRole('button', { name: 'Details' }).click();
    await panel(page).getByRole('heading', { name: 'Again: 4 entries' }).waitFor();
    await page.goto(`${server.url}/console#/jobs?open=00000000000000000000000000000000`);
    await panel(page).getByText('This project has no such job.').waitFor();
    await close(page);
  });

  it('names the images that failed, and leads to them', async () => {
    const kept = await server.image('failed-owner', 'kept');
    const unknown = '00000000-0000-4000-8000-000000000000';
    await server.share('failed-owner', [kept, unknown], ['failed-owner', 'failed-member']);
    const answer = { images: [unknown], project_id: projectId('failed-member'), status: 'accepted' };
    await server.ended('failed-member', (await server.call('failed-member', 'PUT', '/v1/cloudimages/members', answer)).job_id);
    const page = await enter(chrome, server, 'failed-owner', '#/jobs');
    const lists = [];
    page.on('request', (request) => request.url().includes('id=in') && lists.push(request.url()));
    await rows(page).first().locator('td.main').click();
    const failures = panel(page).getByRole('region', { name: 'Failures by reason' });
    await failures.locator('details').nth(1).locator('summary').click();
    await failures.getByRole('link', { name: unknown }).first().waitFor();
    await failures.getByText(kept).waitFor();
    await failures.getByRole('link', { name: 'kept' }).click();
    await panel(page).getByRole('heading', { name: 'kept' }).waitFor();
    assert.match(page.url(), new RegExp(`#/images\\?open=${kept}$`));
    assert.equal(lists.length, 1);
    const member = await enter(chrome, server, 'failed-member', '#/jobs');
    await rows(member).first().locator('td.main').click();
    await panel(member).getByRole('link', { name: unknown }).click();
    await panel(member).getByText('The owner has taken this image back.').waitFor();
    await close(page);
    await close(member);
  });

  it('follows a batch of 1,000 to its end over a reload', async () => {
    await server.share('thousand-owner', await server.images('thousand-owner', 1000, 'bulk'), ['thousand-member']);
    const page = await enter(chrome, server, 'thousand-member');
    await page.getByText('1,000 images').waitFor();
    // Time from the address to the first table, as a figure.
    const began = Date.now();
    await page.reload();
    await rows(page).nth(49).waitFor();
    console.log(`first table of 1,000 invitations after ${Date.now() - began} ms`);
    await page.getByRole('button', { name: 'Accept all' }).click();
    await page.getByRole('button', { name: 'Accept 1,000 images' }).click();
    await tray(page).waitFor();
    await page.reload();
    await tray(page).getByText('1,000 entries done').waitFor({ timeout: 60000 });
    await page.getByRole('heading', { name: 'Nothing waits for your answer' }).waitFor();
    await page.getByRole('radio', { name: 'Accepted' }).check({ force: true });
    for (let number = 1; number < 20; number += 1) {
      await page.getByText(`Page ${number} · 50 rows`).waitFor();
      await page.keyboard.press('n');
    }
    await page.getByText('Page 20 · 50 rows').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Next' }).isDisabled(), true);
    await close(page);
  });

  it('shows names as they are, whatever is in them', async () => {
    await server.share('names-owner', [await server.image('names-owner', SCRIPT), await server.image('names-owner', 'صورة \u202egnp.exe')], ['names-member']);
    await server.share(SCRIPT, [await server.image(SCRIPT, '" onfocus=window.hacked=1 autofocus x="')], ['names-member']);
    await server.share(RTL, [await server.image(RTL, '   '), await server.image(RTL, { name: null })], ['names-member']);
    const page = await enter(chrome, server, 'names-member');
    await page.getByText(SCRIPT).first().waitFor();
    await page.getByText('مشروع').first().waitFor();
    // What would turn the letters after it around is shown instead.
    assert.match(await row(page, 'صورة').innerText(), /صورة \ufffdgnp\.exe/);
    assert.equal(await row(page, 'no name').count(), 2);
    await shot(page, 'names');
    await row(page, 'صورة').locator('td.main').click();
    await panel(page).getByText('Disk format').waitFor();
    assert.equal(await row(page, 'صورة').locator('bdi.name').count(), 1);
    await page.getByRole('button', { name: 'Accept all' }).click();
    await page.getByRole('dialog').getByText(SCRIPT).waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    await accessible(page, 'names');
    await close(page);
  });

  it('turns a reader’s buttons off and says why', async () => {
    const id = await server.image('read-owner', 'looked-at');
    await server.share('read-owner', [id], ['read-member']);
    const page = await enter(chrome, server, 'read-member-reader');
    await page.getByText('Your role in this project is reader').waitFor();
    for (const name of ['Accept looked-at', 'Reject looked-at', 'Accept all']) {
      const button = page.getByRole('button', { name });
      assert.equal(await button.getAttribute('aria-disabled'), 'true', name);
      assert.match(await button.getAttribute('title'), /reader/);
      await button.click({ force: true });
    }
    await page.keyboard.press('j');
    await page.keyboard.press('a');
    const owner = await enter(chrome, server, 'read-owner-reader', `#/images?open=${id}`);
    await panel(owner).getByRole('row', { name: /read-member/ }).waitFor();
    for (const name of ['Share looked-at', 'Unshare with read-member']) {
      assert.equal(await owner.getByRole('button', { name }).getAttribute('aria-disabled'), 'true', name);
    }
    await owner.keyboard.press('s');
    assert.equal(await owner.getByRole('dialog').count(), 0);
    await accessible(owner, 'reader');
    await shot(owner, 'reader');
    assert.equal((await server.invitations('read-member'))[0].status, 'pending');
    await close(page);
    await close(owner);
  });

  it('says how long ago, and the day where that is long', async () => {
    const old = { name: 'old', created_at: '2024-03-01T12:00:00Z' };
    await server.call('service', 'POST', '/v2/images', { ...old, owner: projectId('dates-owner') });
    await server.image('dates-owner', 'new');
    const page = await enter(chrome, server, 'dates-owner', '#/images');
    await row(page, 'new').getByText('just now').waitFor();
    await row(page, 'old').getByText('1 Mar 2024').waitFor();
    await close(page);
  });

  it('says what to do where there is nothing', async () => {
    const page = await enter(chrome, server, 'empty-owner');
    for (const [hash, heading] of [['shared', 'Nothing waits for your answer'], ['shared?status=nonsense', 'Nothing waits for your answer'], ['shared?status=all', 'No image is shared with this project'], ['images', 'This project has no images'], ['images?visibility=nonsense', 'This project has no images'], ['jobs', 'No jobs yet'], ['jobs?status=nonsense', 'No jobs yet'], ['jobs?status=FAIL', 'No job has this status']]) {
      await page.goto(`${server.url}/console#/${hash}`);
      await page.getByRole('heading', { name: heading }).waitFor();
      await accessible(page, hash);
    }
    await shot(page, 'empty');
    await close(page);
  });

  it('shows an error where it happens, with the request’s id to copy', async () => {
    const page = await enter(chrome, server, 'error-owner', `#/shared?owner=${'x'.repeat(300)}`, { permissions: ['clipboard-read', 'clipboard-write'] });
    const note = page.getByRole('alert');
    await note.getByText('IMG.').waitFor();
    await note.getByRole('button', { name: 'Copy the request' }).click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^req-[0-9a-f-]{36}$/);
    await accessible(page, 'error');
    await shot(page, 'error');
    await close(page);
  });

  it('lets a slow answer arrive, however late', async () => {
    await server.share('slow-owner', [await server.image('slow-owner', 'patient')], ['slow-member']);
    const page = await enter(chrome, server, 'slow-member', '#/jobs');
    await page.clock.install();
    const held = [];
    await page.route('**/cloudimages/invitations?*', (route) => held.push(route));
    await tab(page, 'Shared with me').click();
    await page.waitForFunction(() => document.querySelector('.waiting'));
    // Three times as long as a list is fresh, and less than a request may take.
    for (let passed = 0; passed < 50; passed += 10) await page.clock.fastForward(10000);
    await page.evaluate(() => dispatchEvent(new Event('focus')));
    const lists = held.filter((route) => new URL(route.request().url()).searchParams.get('limit') === '50');
    assert.equal(lists.length, 1, 'what is on its way is not asked for again');
    for (const route of held) await route.continue();
    await row(page, 'patient').waitFor();
    await close(page);
  });

  it('takes half an answer for none', async () => {
    await server.share('cut-owner', [await server.image('cut-owner', 'whole')], ['cut-member']);
    let cuts = false;
    const proxy = await cutting(server.url, (path) => cuts && path.includes('/invitations'));
    try {
      const page = await enter(chrome, proxy, 'cut-member', '#/jobs');
      await page.getByText('1 image from cut-owner waits for your answer.').waitFor();
      cuts = true;
      await tab(page, 'Shared with me').click();
      await page.getByText(/Trying again in \d+ s\./).waitFor();
      await page.locator('.away').getByText('The service does not answer.').waitFor();
      cuts = false;
      await row(page, 'whole').waitFor();
      await close(page);
    } finally {
      proxy.end();
    }
  });

  it('says what an older server does not have', async () => {
    const page = await enter(chrome, server, 'old-owner');
    // What no route has is answered so by the server itself.
    const answer = await fetch(`${server.url}/v1/x/cloudimages/not-there`, { redirect: 'manual' });
    assert.equal(answer.status, 300);
    const body = await answer.text();
    for (const call of ['invitations', 'shares', 'trusted-owners']) {
      await page.route(`**/cloudimages/${call}*`, (route) => route.fulfill({ status: 300, contentType: 'application/json', body }));
    }
    await server.image('old-owner', 'still');
    await page.reload();
    await page.getByText('This server has no list of invitations yet').waitFor();
    await tab(page, 'My images').click();
    await page.getByRole('img', { name: '0 accepted, 0 pending, 0 rejected' }).waitFor();
    await page.goto(`${server.url}/console#/shared?open=trusted`);
    await panel(page).getByText('This server is older than this page').waitFor();
    await close(page);
  });

  it('waits for a service that is away, and goes on by itself', async () => {
    const own = await Server.start(['away-owner', 'away-member'], { keep: true });
    try {
      await own.share('away-owner', await own.images('away-owner', 3), ['away-member']);
      const page = await enter(chrome, own, 'away-member');
      await rows(page).nth(2).waitFor();
      await own.down();
      await page.getByRole('button', { name: 'Accept image-1' }).click();
      await page.getByText(/Trying again in \d+ s\./).waitFor();
      await page.locator('.away').getByText('The service does not answer.').waitFor();
      assert.equal(await rows(page).count(), 3, 'what is there stays');
      await accessible(page, 'away');
      await shot(page, 'away');
      await own.up();
      await page.locator('.away').waitFor({ state: 'detached', timeout: 40000 });
      await page.locator('.list').getByText('image-1 is not accepted yet: the service did not answer.').waitFor();
      await page.locator('.list').getByRole('button', { name: 'Try again' }).click();
      await page.getByText('image-1 is accepted.').waitFor();
      await row(page, 'image-1').waitFor({ state: 'detached' });
      await close(page);
    } finally {
      await own.end();
    }
  });

  it('is accessible and fits: wide, dark, on a phone, enlarged, with less motion', async () => {
    const ids = await server.images('look-owner', 8, 'appliance');
    await server.share('look-owner', ids.slice(0, 6), ['look-member', ...OTHERS.slice(0, 9)]);
    for (const [index, name] of OTHERS.slice(0, 7).entries()) {
      for (const id of ids.slice(index % 3, 5)) await server.call(name, 'PUT', `/v2/images/${id}/members/${projectId(name)}`, { status: index % 3 ? 'accepted' : 'rejected' });
    }
    const looks = [
      ['wide', {}],
      ['dark', { colorScheme: 'dark' }],
      ['phone', { viewport: { width: 360, height: 740 }, hasTouch: true, deviceScaleFactor: 2 }],
      // What is left of 1,280 pixels when everything is twice as large.
      ['enlarged', { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2, reducedMotion: 'reduce' }],
      ['narrowest', { viewport: { width: 320, height: 600 }, colorScheme: 'dark' }],
    ];
    for (const [look, options] of looks) {
      const member = await enter(chrome, server, 'look-member', '', options);
      await rows(member).nth(5).waitFor();
      const owner = await enter(chrome, server, 'look-owner', '#/images', options);
      await owner.getByRole('img', { name: /accepted, / }).nth(5).waitFor();
      const check = async (page, where) => {
        await accessible(page, `${look}: ${where}`);
        await fits(page, `${look}: ${where}`);
        await shot(page, `${look}-${where}`);
      };
      await check(member, 'shared');
      const banner = member.getByRole('banner');
      for (const part of [banner.getByText(projectId('look-member')), banner.getByText('look-member').last(), banner.getByRole('button', { name: 'Copy the project' }), banner.getByRole('button', { name: 'Keyboard help' })]) {
        assert.equal(await part.isVisible(), true, `${look}: ${part}`);
      }
      await rows(member).first().locator('td.main').click();
      await panel(member).getByText('Disk format').waitFor();
      await check(member, 'image');
      await check(owner, 'images');
      await row(owner, 'appliance-').nth(4).locator('td.main').click();
      await panel(owner).getByRole('row').nth(3).waitFor();
      await check(owner, 'members');
      await owner.keyboard.press('s');
      await owner.getByLabel('Projects').fill('other-20, other-21 nobody');
      await owner.getByText('no project has this id or name').waitFor();
      await check(owner, 'share');
      await owner.goto(`${server.url}/console#/jobs`);
      const entries = rows(owner).first().locator('td.number').first();
      await entries.waitFor();
      const said = await entries.evaluate((cell) => getComputedStyle(cell, '::before').content);
      assert.equal(said, (options.viewport?.width ?? 1280) > 640 ? 'none' : '"Entries: "', 'a number in a card says what it counts');
      await check(owner, 'jobs');
      if (options.reducedMotion) {
        const moving = await owner.evaluate(() => [...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration !== '0s').length);
        assert.equal(moving, 0);
      }
      await close(member);
      await close(owner);
    }
  });
});

/** An answer as it is sent, compressed. */
async function raw(path) {
  const { request } = await import('node:http');
  return new Promise((done, failed) => {
    const asked = request(server.url + path, { headers: { 'Accept-Encoding': 'gzip' } }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => {
        assert.equal(response.headers['content-encoding'], 'gzip', path);
        done({ headers: response.headers, body: Buffer.concat(parts) });
      });
    });
    asked.on('error', failed);
    asked.end();
  });
}
