// Tables: browse, create, edit and delete; conflicts; values that are large, binary, no JSON, or hostile.

import assert from 'node:assert/strict';
import { notes } from '../app.mjs';
import { until } from '../trial.mjs';

/** Puts a value of any bytes into a table. */
const put = (app, table, partition, value, sort = '') =>
  app.call(`tables/${table}/item?${new URLSearchParams({ partition, sort })}`, { method: 'PUT', body: value });
const stored = (app, table, partition, sort = '') => app.call(`tables/${table}/item?${new URLSearchParams({ partition, sort })}`);
const details = (page) => page.getByRole('region', { name: 'Details' });
const item = (page, partition) => page.getByRole('row').filter({ has: page.getByRole('link', { name: partition, exact: true }) });

/** Waits until the editor has the stored version: after a change it is made again. */
export const isLoaded = async (pane, app, ...key) => pane.getByText(`version ${(await stored(app, ...key)).version}`, { exact: true }).waitFor();

export async function a_table_is_browsed_by_partition_and_prefix(trial) {
  const { app } = await notes(trial);
  for (let number = 0; number < 130; number += 1) await put(app, 'feed', number % 2 ? 'ada' : 'bob', `{"number":${number}}`, `${number % 10}/${number}`);
  const page = await trial.open(`${app.dashboard}#/tables/feed`);
  const rows = page.getByRole('row').filter({ has: page.getByRole('cell') });
  await until(async () => (await rows.count()) === 100, 'the first page');
  await page.getByRole('button', { name: 'Next page' }).click();
  await until(async () => (await rows.count()) === 30, 'the second page');
  await page.getByRole('button', { name: 'Previous page' }).click();
  await until(async () => (await rows.count()) === 100, 'the first page again');
  await page.getByLabel('Partition').fill('ada');
  await until(async () => (await rows.count()) === 65, 'one partition');
  await page.getByLabel('Prefix of the sort key').fill('3/1');
  await until(async () => (await rows.allInnerTexts()).every((text) => text.includes('3/1')) && (await rows.count()) === 4, 'a prefix');
  await page.reload();
  await until(async () => (await rows.count()) === 4, 'the address has the query');
}

export async function an_item_is_created_edited_and_deleted(trial) {
  const { app } = await notes(trial);
  const page = await trial.open(`${app.dashboard}#/tables/notes`);
  await page.getByText('No item is here.').waitFor();
  await page.getByRole('link', { name: 'New item' }).click();
  const pane = details(page);
  await pane.getByLabel('Partition').fill('n/1 ?&#');
  await pane.getByLabel('Sort key').fill('a b');
  await pane.getByLabel('Value').fill('{"user": "ada",\n "text": "tea", "big": 12345678901234567890}');
  await pane.getByRole('button', { name: 'Create' }).click();
  await item(page, 'n/1 ?&#').waitFor();
  // A number keeps its digits.
  assert.equal((await stored(app, 'notes', 'n/1 ?&#', 'a b')).text, '{"user":"ada","text":"tea","big":12345678901234567890}');
  const isSaved = () => isLoaded(pane, app, 'notes', 'n/1 ?&#', 'a b');
  await isSaved();
  await pane.getByLabel('Value').fill('{"user": "bob", "text": "tea"}');
  await pane.getByRole('button', { name: 'Save' }).click();
  await until(async () => (await stored(app, 'notes', 'n/1 ?&#', 'a b')).text === '{"user":"bob","text":"tea"}', 'the new value');
  await isSaved();
  // The row of what is open is marked.
  await item(page, 'n/1 ?&#').and(page.locator('[aria-selected=true], [aria-current=true]')).waitFor();
  // With a time at which it expires.
  await pane.getByLabel('Expires').fill('2040-01-02T03:04:05');
  await pane.getByRole('button', { name: 'Save' }).click();
  await until(async () => (await stored(app, 'notes', 'n/1 ?&#', 'a b')).expires_at?.startsWith('2040-01-0'), 'the expiry');
  await isSaved();
  // What is not saved is not lost without a question.
  await pane.getByLabel('Value').fill('{"user": "eve", "text": "tea"}');
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Requests' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  assert.match(await pane.getByLabel('Value').inputValue(), /eve/);
  await pane.getByRole('button', { name: 'Save' }).click();
  await until(async () => (await stored(app, 'notes', 'n/1 ?&#', 'a b')).text.includes('eve'), 'the new value');
  await isSaved();
  await pane.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No item is here.').waitFor();
  // A key that is taken changes nothing.
  await put(app, 'notes', 'taken', '{"user":"ada","text":"first"}');
  await page.getByRole('link', { name: 'New item' }).click();
  await pane.getByLabel('Partition').fill('taken');
  await pane.getByLabel('Value').fill('{"user": "ada", "text": "second"}');
  trial.allow(/status of 409/);
  await pane.getByRole('button', { name: 'Create' }).click();
  await pane.getByText('Another value is stored now').waitFor();
  assert.match((await stored(app, 'notes', 'taken')).text, /first/);
}

export async function an_edit_that_lost_its_version_shows_both_values(trial) {
  const { app } = await notes(trial);
  await put(app, 'notes', 'n-1', '{"user":"ada","text":"first"}');
  const page = await trial.open(`${app.dashboard}#/tables/notes?p=n-1&s=`);
  const pane = details(page);
  await isLoaded(pane, app, 'notes', 'n-1');
  trial.allow(/status of 409/);
  const lose = async (mine, other) => {
    await pane.getByLabel('Value').fill(`{"user": "ada", "text": "${mine}"}`);
    await put(app, 'notes', 'n-1', `{"user":"app","text":"${other}"}`);
    await pane.getByText('The app has written another value meanwhile.').waitFor();
    await pane.getByRole('button', { name: 'Save' }).click();
    await pane.getByRole('heading', { name: 'Another value is stored now' }).waitFor();
    await pane.getByLabel('Body').getByText(other).waitFor();
    assert.match(await pane.getByLabel('Value').inputValue(), new RegExp(mine));
    assert.match((await stored(app, 'notes', 'n-1')).text, new RegExp(other));
  };
  await lose('mine', 'newer');
  await pane.getByRole('button', { name: 'Load the newer one' }).click();
  await until(async () => /newer/.test(await pane.getByLabel('Value').inputValue()), 'the newer value in the editor');
  assert.match((await stored(app, 'notes', 'n-1')).text, /newer/);
  await isLoaded(pane, app, 'notes', 'n-1');
  await lose('mine again', 'newest');
  await pane.getByRole('button', { name: 'Overwrite with mine' }).click();
  await until(async () => /mine again/.test((await stored(app, 'notes', 'n-1')).text), 'the own value');
  // Deleted in the meantime.
  await isLoaded(pane, app, 'notes', 'n-1');
  await pane.getByLabel('Value').fill('{"user": "ada", "text": "again"}');
  await app.call('tables/notes/item?partition=n-1', { method: 'DELETE' });
  await pane.getByRole('button', { name: 'Save' }).click();
  trial.allow(/status of 404/);
  await pane.getByRole('heading', { name: 'The item is deleted' }).waitFor();
  await pane.getByRole('button', { name: 'Create it again with mine' }).click();
  await until(async () => /again/.test((await stored(app, 'notes', 'n-1').catch(() => ({ text: '' }))).text), 'it exists again');
}

/** HTML that would run a script: in keys and values, as a table, a message and a request have them. */
const HOSTILE = '<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=2</script><svg onload="globalThis.hacked=3">';

export async function hostile_html_is_shown_as_text_and_runs_nothing(trial) {
  const { app, service } = await notes(trial);
  service.isDown = true;
  await put(app, 'notes', HOSTILE, JSON.stringify({ user: HOSTILE, text: HOSTILE }), HOSTILE);
  await put(app, 'notes', 'plain', HOSTILE);
  await app.call(`buckets/files?${new URLSearchParams({ key: `${HOSTILE}/${HOSTILE}.txt`, content_type: HOSTILE.replaceAll(/[^ -~]/g, '') })}`, { method: 'PUT', body: HOSTILE });
  await app.send('PUT', `/notes/${encodeURIComponent(HOSTILE)}`, { user: HOSTILE, text: HOSTILE });
  await app.call(`topics/activity?attributes=${encodeURIComponent(JSON.stringify({ html: HOSTILE }))}`, { method: 'POST', body: JSON.stringify({ user: HOSTILE, did: HOSTILE, note: HOSTILE }) });
  await app.call('topics/activity?delay=600', { method: 'POST', body: HOSTILE });
  await app.call('functions/reindex', { method: 'POST', body: JSON.stringify(`${HOSTILE} of no note`) });
  await until(async () => (await app.call('')).queues.some(({ dead }) => dead > 0), 'a dead letter');
  const page = await trial.open(app.dashboard);
  const { records } = await app.call('requests');
  const key = new URLSearchParams({ p: HOSTILE, s: HOSTILE });
  const object = new URLSearchParams({ prefix: `${HOSTILE}/`, key: `${HOSTILE}/${HOSTILE}.txt` });
  const paths = ['', 'requests', ...records.map(({ id }) => `requests/${id}`), 'tables/notes', `tables/notes?${key}`, 'tables/notes?p=plain&s=', 'tables/feed',
    'buckets/files', `buckets/files?${object}`, 'topics/topic/activity', 'functions/reindex', `requests?q=${encodeURIComponent(HOSTILE)}`];
  // Where it must be seen: as a part of a text, or the value of a field. A slash in a key ends a folder.
  const visible = new Map(['tables/notes', `tables/notes?${key}`, 'tables/notes?p=plain&s=', `buckets/files?${object}`, 'topics/topic/activity'].map((path) => [path, HOSTILE]));
  visible.set('buckets/files', HOSTILE.split('/')[0]);
  for (const path of paths) {
    await page.goto(`${app.dashboard}#/${path}`);
    await page.waitForTimeout(300);
    for (const summary of await page.getByText('Body and attributes').all()) await summary.click();
    const found = await page.evaluate(() => ({
      hacked: globalThis.hacked,
      elements: document.querySelectorAll('main script, main svg[onload], main img[onerror], [onclick], [onerror]').length,
      text: [document.querySelector('main').innerText, ...[...document.querySelectorAll('textarea')].map((one) => one.value)].join('\n').replaceAll('\\"', '"'),
    }));
    assert.equal(found.hacked, undefined, path);
    assert.equal(found.elements, 0, path);
    assert(found.text.includes(visible.get(path) ?? ''), `${path} shows\n${found.text}`);
  }
  // A filter, a search and a link with it in the address.
  await page.getByRole('searchbox').fill(HOSTILE);
  await page.waitForTimeout(300);
  assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
}

export async function large_and_binary_values_and_text_that_is_no_json_are_shown(trial) {
  const { app } = await notes(trial);
  const large = JSON.stringify({ user: 'ada', text: 'x'.repeat(1_000), list: Array.from({ length: 30_500 }, (_, number) => `word ${number}`) });
  assert(large.length > 385_000 && large.length < 400_000, `${large.length}`);
  await put(app, 'notes', 'large', large);
  await put(app, 'notes', 'long', 'y'.repeat(389_000));
  await put(app, 'notes', 'bytes', Buffer.from([0, 255, 254, 1, 65, 66]));
  await put(app, 'notes', 'text', 'not JSON: {\r\nsecond line');
  await put(app, 'notes', 'empty', '');
  const page = await trial.open(`${app.dashboard}#/tables/notes`);
  const pane = details(page);
  const started = Date.now();
  await item(page, 'large').getByRole('link').click();
  await until(async () => (await pane.getByLabel('Value').inputValue()).includes('word 30499'), 'the whole value in the editor');
  trial.note(`a value of 390 KB opens in ${Date.now() - started} ms`);
  // The last part of it, so that nothing was cut.
  await pane.getByLabel('Value').evaluate((field) => {
    field.focus();
    const at = field.value.indexOf('word 30499');
    field.setSelectionRange(at, at + 'word 30499'.length);
  });
  const typed = Date.now();
  await page.keyboard.type('the end');
  trial.note(`a key in it takes ${Math.round((Date.now() - typed) / 7)} ms`);
  await pane.getByRole('button', { name: 'Save' }).click();
  await until(async () => (await stored(app, 'notes', 'large')).text === large.replace('word 30499', 'the end'), 'the whole value is stored');
  await item(page, 'long').getByRole('link').click();
  await until(async () => (await pane.getByLabel('Value').inputValue()).length === 389_000, 'a long line');
  await item(page, 'bytes').getByRole('link').click();
  await pane.getByText('The value is not text.').waitFor();
  await pane.getByText(/00 ff fe 01 41 42 .*AB/).waitFor();
  assert.equal(await pane.getByLabel('Value').count(), 0);
  await item(page, 'text').getByRole('link').click();
  await until(async () => (await pane.getByLabel('Value').inputValue()).startsWith('not JSON: {'), 'a text');
  await pane.getByLabel('Value').fill('still not JSON: {\nthird line');
  await pane.getByText('This is text, not JSON.').waitFor();
  await pane.getByRole('button', { name: 'Save' }).click();
  await until(async () => (await stored(app, 'notes', 'text')).text === 'still not JSON: {\r\nthird line', 'its line ends stay');
  await item(page, 'empty').getByRole('link').click();
  await until(async () => (await pane.getByLabel('Value').inputValue()) === '', 'an empty value');
}
