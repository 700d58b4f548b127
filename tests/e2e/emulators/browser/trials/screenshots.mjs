// The screenshots of the documentation: `ISOBAR_SCREENSHOTS=FOLDER cargo test --test dashboard -- screenshots`.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import { notes } from '../app.mjs';
import { NARROW, WIDE, until } from '../trial.mjs';

const LARGEST = 150_000;

const TEXTS = { 'buy-milk': ['ada', 'Milk, bread and two lemons'], 'book-train': ['eve', 'Train to Bergen on Friday'] };

export async function screenshots_of_the_documentation_are_small(trial) {
  const folder = process.env.ISOBAR_SCREENSHOTS || mkdtempSync(join(tmpdir(), 'screenshots-'));
  mkdirSync(folder, { recursive: true });
  const { app, write, service } = await notes(trial);
  const isQuiet = async () => (await app.call('')).queues.every(({ waiting, running }) => waiting + running === 0);
  for (const [id, [user, text]] of Object.entries(TEXTS)) await write(id, text, user);
  await app.send('PUT', '/files/images/boat.png', 'a boat');
  await until(isQuiet, 'all is handled');
  service.isDown = true;
  await write('call-bob', 'Call Bob about the boat', 'ada');
  await until(isQuiet, 'the message is a dead letter');
  service.isDown = false;
  await app.send('POST', '/notes/buy-milk/remind?in=540');
  await app.send('GET', '/notes?word=boat');
  await app.send('GET', '/nothing');
  const { records } = await app.call('requests');
  const failed = records.find(({ status }) => status === 'dead');
  const pages = {
    overview: ['', 'notes'],
    request: [`requests/${failed.id}`, 'Run again'],
    'dead-letters': ['topics/topic/activity', /gave up after 2 attempts/],
    item: ['tables/notes?p=buy-milk&s=', /version/],
  };
  for (const colorScheme of ['light', 'dark']) {
    for (const [suffix, viewport] of [['', WIDE], ['-narrow', NARROW]]) {
      for (const [name, [path, text]] of Object.entries(pages)) {
        const page = await trial.open(`${app.dashboard}#/${path}`, { viewport, colorScheme });
        await page.getByText(text).first().waitFor();
        await page.waitForTimeout(500);
        await page.getByText(text).first().scrollIntoViewIfNeeded();
        const image = await smaller(page, await page.screenshot({ animations: 'disabled' }));
        writeFileSync(join(folder, `${name}${suffix}-${colorScheme}.png`), image);
        trial.note(`${name}${suffix}-${colorScheme} ${Math.round(image.length / 1000)} kB`);
        assert(image.length <= LARGEST, `${name} has ${image.length} bytes`);
        await page.context().close();
      }
    }
  }
}

/** The image with 256 of its colors: a third of the size, because Chromium stores 24 bits per pixel. */
async function smaller(page, png) {
  const { width, height, palette, rows } = await page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(new Blob([Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))]));
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    canvas.drawImage(bitmap, 0, 0);
    const { width, height, data } = canvas.getImageData(0, 0, bitmap.width, bitmap.height);
    const colors = Array.from({ length: width * height }, (_, at) => (data[4 * at] << 16) | (data[4 * at + 1] << 8) | data[4 * at + 2]);
    const counts = new Map();
    for (const color of colors) counts.set(color, (counts.get(color) ?? 0) + 1);
    const parts = (color) => [color >> 16, (color >> 8) & 255, color & 255];
    // A vivid color of an icon counts more than a shade of a letter.
    const weight = (color) => counts.get(color) * (4 + Math.max(...parts(color)) - Math.min(...parts(color)));
    const palette = [...counts.keys()].sort((a, b) => weight(b) - weight(a)).slice(0, 256);
    const difference = (a, b) => parts(a).reduce((sum, part, index) => sum + Math.abs(part - parts(b)[index]), 0);
    const nearest = new Map(palette.map((color, index) => [color, index]));
    for (const color of counts.keys()) {
      if (!nearest.has(color)) nearest.set(color, palette.reduce((best, one, index) => (difference(one, color) < difference(palette[best], color) ? index : best), 0));
    }
    return { width, height, palette, rows: colors.map((color) => String.fromCharCode(nearest.get(color))).join('') };
  }, png.toString('base64'));
  const lines = Buffer.alloc(height * (width + 1));
  for (let line = 0; line < height; line += 1) lines.write(rows.slice(line * width, (line + 1) * width), line * (width + 1) + 1, 'latin1');
  const number = (value) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
  const chunk = (name, content) => [number(content.length), Buffer.from(name), content, number(crc32(Buffer.concat([Buffer.from(name), content])))];
  return Buffer.concat([
    png.subarray(0, 8), ...chunk('IHDR', Buffer.concat([number(width), number(height), Buffer.from([8, 3, 0, 0, 0])])),
    ...chunk('PLTE', Buffer.from(palette.flatMap((color) => [color >> 16, (color >> 8) & 255, color & 255]))),
    ...chunk('IDAT', deflateSync(lines, { level: 9 })), ...chunk('IEND', Buffer.alloc(0)),
  ]);
}
