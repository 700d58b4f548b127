// What other pages, other hosts and clients without the token can do: nothing.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { request } from 'node:http';
import { SECRETS, chatbot, notes } from '../app.mjs';

const FILES = readdirSync(new URL('../../../../../adapters/local/src/host/dashboard/', import.meta.url));

const PATHS = [
  '', '?token=', ...FILES, 'events', 'requests', 'tables/notes', 'tables/notes/item?partition=n-1', 'buckets/files',
  'buckets/files/about?key=a.txt', 'buckets/files/object?key=a.txt', 'queues/topics/activity?queue=feed',
  'dead-letters/topics/activity?queue=mirror', 'schedules', 'settings',
];

const ACTIONS = [
  ['PUT', 'tables/notes/item?partition=x'], ['DELETE', 'tables/notes/item?partition=n-1'], ['POST', 'tables/notes?partition=n-1'],
  ['PUT', 'buckets/files?key=x'], ['DELETE', 'buckets/files/object?key=a.txt'], ['POST', 'topics/activity'], ['POST', 'schedules/purge'],
  ['POST', 'functions/reindex'], ['POST', 'dead-letters/topics/activity?queue=mirror'], ['DELETE', 'dead-letters/topics/activity?queue=mirror'],
];

/** All calls, with one that shows a record, and one that runs it again. */
async function every(app) {
  const { records } = await app.call('requests');
  return [...[...PATHS, `requests/${records[0].id}`].map((path) => ['GET', path]), ...ACTIONS, ['POST', `requests/${records[0].id}`]];
}

async function filled(trial) {
  const { app, write } = await notes(trial);
  await write('n-1', 'a text that is private');
  await app.send('PUT', '/files/a.txt', 'a file that is private');
  return app;
}

/** A response, also for a `host` that is not the server's. */
const raw = (url, method = 'GET', headers = {}) =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: { accept: 'text/html, application/json', ...headers } }, async (response) => {
      // A stream that is open has no end.
      const chunks = response.headers['content-type'] === 'text/event-stream' ? [] : await response.toArray();
      resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() });
      sent.destroy();
    });
    sent.on('error', reject).end();
  });

/** All that an action could change, and the number of calls of the app. */
const stored = async (app) => {
  const { tables, buckets, queues } = await app.call('');
  const { records } = await app.call('requests');
  return JSON.stringify([tables, buckets, queues.map(({ next_due, ...rest }) => rest), records.length]);
};

export async function without_the_token_every_path_is_401_and_shows_nothing(trial) {
  const app = await filled(trial);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = await stored(app);
  const calls = await every(app);
  const bodies = new Set();
  for (const prefix of ['', `${app.token.slice(1)}/`, `${'0'.repeat(32)}/`, `${app.token.toUpperCase()}x/`]) {
    for (const [method, path] of calls) {
      const { status, headers, body } = await raw(`${app.inspector}/${prefix}${path}`, method);
      assert.equal(status, 401, `${method} /${prefix}${path}`);
      assert.equal(headers['cache-control'], 'no-store');
      bodies.add(body);
    }
  }
  assert.equal(bodies.size, 1, [...bodies].join('\n'));
  assert(![...bodies][0].includes(app.token) && ![...bodies][0].includes('notes'));
  assert.equal(await stored(app), before);
  // The token in the address opens the page, and is in none of its files.
  for (const [method, path] of calls.filter(([method]) => method === 'GET')) {
    const { status, body, headers } = await raw(`${app.dashboard}${path}`, method);
    assert(status < 400, `${status} ${path}`);
    assert(!body.includes(app.token), path);
    assert.equal(headers['referrer-policy'], 'no-referrer', path);
  }
  const redirect = await raw(`${app.inspector}/?token=${app.token}`);
  assert.deepEqual([redirect.status, redirect.headers.location], [303, `/${app.token}/`]);
}

export async function a_foreign_host_is_refused_also_with_the_token(trial) {
  const app = await filled(trial);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = await stored(app);
  const foreign = [
    { host: 'example.org' }, { host: `example.org:${app.ports[1]}` }, { host: '127.0.0.1.example.org' }, { 'x-forwarded-for': '10.0.0.1' },
    { origin: 'http://example.org' }, { origin: 'null' }, { origin: app.url }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of foreign) {
    for (const [method, path] of await every(app)) {
      const { status, body } = await raw(`${app.dashboard}${path}`, method, headers);
      assert.equal(status, 403, `${JSON.stringify(headers)} ${method} ${path}`);
      assert(!body.includes('private') && !body.includes(app.token), body);
    }
  }
  assert.equal(await stored(app), before);
}

/** The page of another server on this machine knows even the token, which it should not. */
export async function a_page_of_another_origin_reaches_nothing(trial) {
  const app = await filled(trial);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = await stored(app);
  const html = `<!doctype html><title>other</title>
    <iframe name="frame" src="${app.dashboard}"></iframe><iframe name="target"></iframe>
    <form id="form" method="post" target="target" action="${app.dashboard}topics/activity" enctype="text/plain"><input name="a" value="b"></form>
    <script>globalThis.loaded = []</script><script src="${app.dashboard}app.js" onload="loaded.push('script')"></script>
    <img src="${app.dashboard}icon.svg" onload="loaded.push('image')">`;
  const other = await trial.server(() => [200, { 'content-type': 'text/html' }, html]);
  trial.allow(/./);
  const page = await trial.open(other);
  const found = await page.evaluate(async (dashboard) => {
    const text = (sent) => sent.then((response) => response.text()).catch((error) => error.name);
    const streamed = new Promise((resolve) => {
      const source = new EventSource(`${dashboard}events`);
      source.onopen = () => resolve('open');
      source.onerror = () => resolve('error');
    });
    const post = (url, mode) => text(fetch(url, { method: 'POST', mode, body: 'x' }));
    const results = [
      await text(fetch(dashboard)), await text(fetch(dashboard, { mode: 'no-cors' })), await text(fetch(`${dashboard}settings`)),
      await post(`${dashboard}functions/reindex`, 'cors'), await post(`${dashboard}functions/reindex`, 'no-cors'), await streamed,
    ];
    document.getElementById('form').submit();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return [...results, ...globalThis.loaded];
  }, app.dashboard);
  assert.deepEqual(found, ['TypeError', '', 'TypeError', 'TypeError', '', 'error']);
  for (const name of ['frame', 'target']) {
    const content = await page.frame({ name }).content().catch(() => '');
    assert(!content.includes('app.js') && !content.includes('id="main"'), content);
  }
  const popup = page.waitForEvent('popup');
  await page.evaluate((dashboard) => { globalThis.opened = open(dashboard); }, app.dashboard);
  await (await popup).waitForLoadState();
  assert.match(await (await popup).locator('body').innerText(), /only pages of this server may/);
  assert.equal(await stored(app), before);
}

export async function no_response_and_no_page_contains_a_secret(trial) {
  const { app, say, service } = await chatbot(trial);
  service.isDown = true;
  const page = await trial.open('about:blank');
  const bodies = [];
  page.on('response', async (response) => bodies.push([response.url(), await response.text().catch(() => '')]));
  await page.goto(`${app.dashboard}#/settings`);
  await say('hello');
  await page.getByText('telegram-secret-token').first().waitFor();
  for (const text of ['ISOBAR_SECRET_TELEGRAM_SECRET_TOKEN', 'slack-signing-secret', 'ISOBAR_CONFIG_APIS']) {
    await page.getByText(text).first().waitFor();
  }
  await page.getByRole('heading', { level: 1, name: 'Secrets and configuration' }).waitFor();
  await page.getByRole('row', { name: /^telegram-bot-token.*variable ISOBAR_SECRET_TELEGRAM_BOT_TOKEN/ }).waitFor();
  await page.getByRole('row', { name: /^slack-bot-token.*not set, optional/ }).waitFor();
  const { records } = await app.call('requests');
  const paths = ['', 'requests', 'settings', 'schedules', 'tables/inbox', 'queues/topics/incoming', 'dead-letters/topics/incoming', ...records.map(({ id }) => `requests/${id}`)];
  for (const path of paths) bodies.push([path, JSON.stringify(await app.call(path))]);
  for (const { id } of records) {
    await page.goto(`${app.dashboard}#/requests/${id}`);
    await page.getByRole('heading', { name: /Log/ }).waitFor();
    bodies.push([`the page of request ${id}`, await page.content()]);
  }
  await page.goto(`${app.dashboard}#/settings`);
  await page.getByText('telegram-secret-token').first().waitFor();
  bodies.push(['the page of the settings', await page.content()]);
  for (const [where, body] of bodies) {
    for (const secret of [...SECRETS, service.url]) assert(!body.includes(secret), `${where} contains ${secret}`);
  }
  assert(bodies.length > 12, `${bodies.length} responses`);
}
