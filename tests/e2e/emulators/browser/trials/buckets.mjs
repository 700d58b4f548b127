// Buckets: folders, uploads, previews and downloads.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { notes } from '../app.mjs';
import { until } from '../trial.mjs';

const details = (page) => page.getByRole('region', { name: 'Details' });
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

const put = (app, key, content, type) =>
  app.call(`buckets/files?${new URLSearchParams({ key, ...(type && { content_type: type }) })}`, { method: 'PUT', body: content });

export async function files_are_uploaded_downloaded_and_deleted(trial) {
  const { app } = await notes(trial);
  const page = await trial.open(`${app.dashboard}#/buckets/files`);
  await page.getByText('No object is here.').waitFor();
  const bytes = randomBytes(3_000_000);
  await page.getByLabel('Upload').setInputFiles([
    { name: 'large.bin', mimeType: 'application/octet-stream', buffer: bytes },
    { name: 'a b&c#.txt', mimeType: 'text/plain', buffer: Buffer.from('two\nlines') },
  ]);
  await page.getByText('2 objects uploaded.').waitFor();
  await page.getByRole('link', { name: 'a b&c#.txt' }).click();
  await details(page).getByRole('row', { name: /content type/ }).getByText('text/plain').waitFor();
  await details(page).getByLabel('Body').getByText('lines').waitFor();
  await page.getByRole('link', { name: 'large.bin' }).click();
  await details(page).getByRole('row', { name: /size/ }).getByText('3 MB').waitFor();
  const downloaded = page.waitForEvent('download');
  await details(page).getByRole('link', { name: 'Download' }).click();
  const download = await downloaded;
  assert.equal(download.suggestedFilename(), 'large.bin');
  assert(readFileSync(await download.path()).equals(bytes), 'the bytes are the same');
  // An upload is an event for the app, here with a folder as prefix.
  await page.getByRole('searchbox', { name: 'Prefix' }).fill('images/');
  await page.getByText('No object is here.').waitFor();
  await page.getByLabel('Upload').setInputFiles({ name: 'dot.png', mimeType: 'image/png', buffer: PNG });
  await page.getByRole('link', { name: 'dot.png' }).waitFor();
  await until(async () => (await app.call('buckets/files?prefix=thumbs/')).objects.length === 1, 'the handler has made a thumbnail');
  await page.getByRole('navigation', { name: 'Folders' }).getByRole('link', { name: 'files' }).click();
  await page.getByRole('link', { name: 'thumbs/' }).click();
  await page.getByRole('link', { name: 'images/' }).click();
  await page.getByRole('link', { name: 'dot.png' }).click();
  await details(page).getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await app.call('buckets/files?prefix=thumbs/')).objects.length, 1);
  await details(page).getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await until(async () => (await app.call('buckets/files?prefix=thumbs/')).objects.length === 0, 'it is deleted');
}

export async function a_preview_shows_images_and_text_and_runs_no_script(trial) {
  const { app } = await notes(trial);
  const script = 'parent.hacked = 1; top.hacked = 1; globalThis.hacked = 1; new Image().src = "stolen"; fetch("stolen")';
  const html = `<!doctype html><p>visible text</p><img src="stolen"><script>${script}</script><form action="stolen"></form><meta http-equiv="refresh" content="0;url=stolen">`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="${script.replaceAll('"', "'")}"><script>${script.replaceAll('&', '&amp;')}</script><rect width="9" height="9"/></svg>`;
  await put(app, 'page.html', html, 'text/html');
  await put(app, 'dot.png', PNG, 'image/png');
  await put(app, 'dot.svg', svg, 'image/svg+xml');
  await put(app, 'bytes', Buffer.from([0, 255, 1]));
  await put(app, 'long.txt', 'line\n'.repeat(100_000), 'text/plain');
  await put(app, 'disguised.png', html, 'image/png');
  const page = await trial.open(`${app.dashboard}#/buckets/files`);
  const answered = [];
  page.context().on('response', (response) => answered.push(response.url()));
  const pane = details(page);
  const isLoaded = (image) => image.evaluate((one) => one.complete && one.naturalWidth > 0);
  for (const name of ['dot.png', 'dot.svg']) {
    await page.getByRole('link', { name }).click();
    const image = pane.getByRole('img', { name: `Preview of ${name}` });
    await until(() => isLoaded(image), `${name} is visible`);
  }
  await page.getByRole('link', { name: 'disguised.png' }).click();
  await pane.getByRole('img', { name: 'Preview of disguised.png' }).waitFor();
  await page.getByRole('link', { name: 'bytes' }).click();
  await pane.getByText(/00 ff 01/).waitFor();
  await page.getByRole('link', { name: 'long.txt' }).click();
  await pane.getByText(/Not all of 500 kB is here/).waitFor();
  await page.getByRole('link', { name: 'page.html' }).click();
  // First as text.
  await pane.getByLabel('Body').getByText('<p>visible text</p>').waitFor();
  // The browser reports each script that it blocks.
  trial.allow(/Blocked script execution|Content Security Policy|sandboxed|violates|stolen: csp$/);
  await pane.getByRole('button', { name: 'Show in a sandbox' }).click();
  await pane.locator('iframe').contentFrame().getByText('visible text').waitFor();
  await page.waitForTimeout(500);
  assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
  // Opened on its own, an object is in a sandbox too.
  for (const key of ['page.html', 'dot.svg']) {
    const alone = await page.context().newPage();
    await alone.goto(`${app.dashboard}buckets/files/object?key=${key}`);
    await alone.waitForTimeout(200);
    assert.equal(await alone.evaluate(() => globalThis.hacked).catch(() => undefined), undefined, key);
    await alone.close();
  }
  assert(answered.some((url) => url.includes('key=page.html')));
  assert.deepEqual(answered.filter((url) => url.includes('stolen')), []);
}
