// Takes the picture of the README: node tests/picture.js [FILE]. Only its look depends on this machine's fonts.

import { browser, enter, projectId, row, rows, Server } from './harness.js';

const PROJECTS = ['platform', 'web-shop', 'database', 'analytics', 'security', 'build-farm', 'mail'];
const IMAGES = [
  ['mail', 'relay-2026.10'],
  ['build-farm', 'runner-arm64-2026.11'],
  ['build-farm', 'runner-x86-2026.11'],
  ['security', 'vault-appliance-3.1'],
  ['security', 'صورة الخادم الآمن'],
  ['database', 'postgres-16-golden'],
  ['database', 'postgres-17-golden'],
  ['platform', 'rocky-9-minimal'],
  ['platform', 'windows-server-2022'],
  ['platform', 'ubuntu-24.04-lts'],
  ['platform', 'debian-12.7-hardened'],
];

const server = await Server.start(PROJECTS);
const chrome = await browser();
try {
  const own = await server.images('web-shop', 1, 'storefront');
  await server.share('web-shop', own, ['analytics']);
  for (const [owner = '', name = ''] of IMAGES) {
    const id = await server.image(owner, { name, disk_format: 'qcow2', container_format: 'bare', min_disk: 20, min_ram: 2048 });
    await server.share(owner, [id], ['web-shop']);
  }
  const page = await enter(chrome, server, 'web-shop', '', { viewport: { width: 1400, height: 720 } });
  await rows(page).nth(IMAGES.length - 1).waitFor();
  for (const name of ['relay', 'runner-arm64']) await row(page, name).getByRole('checkbox').check();
  await page.keyboard.press('a');
  await page.getByRole('region', { name: 'Jobs started here' }).getByText('2 entries done').waitFor();
  for (const name of ['postgres-16', 'postgres-17']) await row(page, name).getByRole('checkbox').check();
  await row(page, 'postgres-17').locator('td.main').click();
  await page.getByRole('complementary').getByText(projectId('database')).waitFor();
  await page.mouse.move(0, 0);
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: process.argv[2] ?? '../docs/console.png', animations: 'disabled' });
} finally {
  await chrome.close();
  await server.end();
}
