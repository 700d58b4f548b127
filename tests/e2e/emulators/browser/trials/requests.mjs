// Requests and events: the list, the trace, running one again, dead letters, and a restart of the app.

import assert from 'node:assert/strict';
import { chatbot, notes } from '../app.mjs';
import { until } from '../trial.mjs';
import { navigate } from './pages.mjs';

const row = (page, name) => page.getByRole('grid', { name: 'Requests' }).getByRole('row', { name });
const details = (page) => page.getByRole('region', { name: 'Request' });

export async function a_request_appears_by_itself_within_200_ms_of_its_end(trial) {
  const { app, write } = await notes(trial);
  const page = await trial.open(`${app.dashboard}#/requests`);
  await page.getByText('No request yet.').waitFor();
  await write('first');
  await row(page, /PUT \/notes\/first/).waitFor();
  const delays = [];
  for (let number = 0; number < 9; number += 1) {
    const path = `/notes/n-${number}`;
    // The clock of the page is that of this process.
    const appeared = page.evaluate((title) => new Promise((resolve) => {
      const check = () => {
        const row = [...document.querySelectorAll('[role=row]')].find((one) => one.textContent.includes(title) && one.textContent.includes('204'));
        if (row) requestAnimationFrame(() => resolve(Date.now()));
        return row;
      };
      const observer = new MutationObserver(() => check() && observer.disconnect());
      observer.observe(document.querySelector('main'), { childList: true, subtree: true, characterData: true });
    }), `PUT ${path}`);
    const response = await write(`n-${number}`);
    const ended = Date.now();
    assert.equal(response.status, 204);
    delays.push((await appeared) - ended);
    await page.waitForTimeout(300);
  }
  delays.sort((a, b) => a - b);
  const median = delays[4];
  trial.note(`median ${median} ms, longest ${delays.at(-1)} ms after the response`);
  assert(median <= 200, `${delays} ms`);
}

export async function a_request_opens_to_its_trace_across_the_topic(trial) {
  const { app, service, say } = await chatbot(trial);
  service.isDown = true;
  const page = await trial.open(`${app.dashboard}#/requests`);
  await say('hello');
  await row(page, /POST \/telegram/).click();
  const pane = details(page);
  await pane.getByRole('heading', { name: 'POST /telegram' }).waitFor();
  const trace = pane.getByRole('table').filter({ hasText: 'Record' });
  await trace.getByText('publish topic `incoming`').waitFor();
  await pane.getByText('"first_name": "Ada"').first().waitFor();
  // Headers with secrets are hidden.
  await pane.getByText('Request headers').click();
  await pane.getByRole('row', { name: /x-telegram-bot-api-secret-token/ }).getByText('(hidden)').waitFor();
  await trace.getByRole('link', { name: /message incoming/ }).first().click();
  await pane.getByRole('heading', { name: 'incoming' }).waitFor();
  await pane.getByText(/status 503: no luck today/).first().waitFor();
  const line = pane.getByRole('listitem').filter({ hasText: 'the attempt failed' });
  await line.getByText('WARN').waitFor();
  await pane.getByText('"telegram/1"').waitFor();
  // The reply goes out when the service works, and the open record gets the attempt of its trace.
  service.isDown = false;
  await trace.getByRole('link', { name: /message incoming/ }).last().waitFor();
  await until(async () => (await app.call('requests')).records.some(({ kind, status }) => kind === 'message' && status === 'ok'), 'the message is handled');
  const { records } = await app.call('requests');
  const attempts = records.filter(({ kind }) => kind === 'message').length;
  await until(async () => (await trace.getByRole('link', { name: /message incoming/ }).count()) === attempts, `${attempts} attempts in the trace`);
}

export async function a_request_that_runs_again_is_a_new_record(trial) {
  const { app, write } = await notes(trial);
  await write('n-1', 'milk');
  await app.send('PUT', '/notes/n-1', { user: 'bob', text: 'beer' });
  const page = await trial.open(`${app.dashboard}#/requests`);
  await row(page, /PUT \/notes\/n-1/).last().click();
  const before = page.url();
  await details(page).getByRole('button', { name: 'Run again' }).click();
  await details(page).getByText('started from the dashboard').waitFor();
  assert.notEqual(page.url(), before);
  await until(async () => (await row(page, /PUT \/notes\/n-1/).count()) === 3, 'three rows');
  const { version, text } = await app.call('tables/notes/item?partition=n-1');
  assert.deepEqual([JSON.parse(text), Boolean(version)], [{ user: 'ada', text: 'milk' }, true]);
  // A message too: its handler runs, outside of the queue.
  const messages = row(page, /activity \(feed\)/);
  await messages.first().click();
  await details(page).getByRole('heading', { name: 'activity (feed)' }).waitFor();
  await details(page).getByRole('button', { name: 'Run again' }).click();
  await details(page).getByText('started from the dashboard').waitFor();
  await until(async () => (await app.call('')).queues.every(({ waiting, running }) => waiting + running === 0), 'all is handled');
  const { records } = await app.call('requests');
  // Three writes, and once again.
  assert.equal(records.filter(({ title, again }) => title === 'activity (feed)' && !again).length, 3);
  assert.equal(records.filter(({ again }) => again).length, 2);
}

export async function the_list_filters_by_kind_text_and_failure_and_pauses(trial) {
  const { app, write, service } = await notes(trial);
  service.isDown = true;
  await write('n-1');
  const page = await trial.open(`${app.dashboard}#/requests`);
  const rows = page.getByRole('grid', { name: 'Requests' }).getByRole('row');
  await row(page, /gave up after 2 attempts/).waitFor();
  assert(await page.getByRole('button', { name: 'Load older requests' }).isHidden(), 'there are no older ones');
  const titles = async () => (await rows.allInnerTexts()).slice(1);
  await page.getByRole('button', { name: 'Failed only' }).click();
  await until(async () => (await titles()).length === 2 && (await titles()).every((text) => text.includes('activity (mirror)')), 'only failures');
  await page.getByRole('button', { name: 'Failed only' }).click();
  await page.getByRole('group', { name: 'Kind' }).getByRole('button', { name: 'HTTP' }).click();
  await until(async () => (await titles()).length === 1, 'only HTTP');
  await page.getByRole('group', { name: 'Kind' }).getByRole('button', { name: 'All' }).click();
  await page.getByRole('searchbox').fill('FEED');
  await until(async () => (await titles()).length === 1, 'only those with the text');
  // The address has the filter.
  await page.reload();
  await until(async () => (await titles()).length === 1, 'the filter after a reload');
  await page.getByRole('searchbox').fill('no such text');
  await page.getByText('No request matches the filter.').waitFor();
  await page.getByRole('searchbox').fill('');
  await page.getByRole('button', { name: 'Pause' }).click();
  const before = (await titles()).length;
  await write('n-2');
  await page.getByRole('button', { name: /Resume \(\d+ new\)/ }).waitFor();
  assert.equal((await titles()).length, before);
  await page.getByRole('button', { name: /Resume/ }).click();
  await row(page, /PUT \/notes\/n-2/).waitFor();
}

export async function a_dead_letter_has_its_reason_and_succeeds_when_it_is_put_back(trial) {
  const { app, write, service } = await notes(trial);
  service.isDown = true;
  const page = await trial.open(app.dashboard);
  await write('n-1');
  // The overview and the navigation report it.
  await page.getByRole('region', { name: 'Newest failures' }).getByText(/gave up after 2 attempts/).waitFor();
  await page.getByRole('group', { name: 'Triggers' }).getByRole('link', { name: /activity → mirror.*1 dead letter/ }).waitFor();
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: /Topics and queues.*1.*dead letters/ }).click();
  await page.getByRole('link', { name: /^activity/ }).click();
  await page.getByRole('heading', { name: 'Subscription mirror' }).waitFor();
  const dead = page.getByRole('row').filter({ hasText: 'gave up after 2 attempts' });
  await dead.getByText(/the mirror answered 503/).waitFor();
  await dead.getByText('Body and attributes').click();
  await dead.getByText('"user": "ada"').waitFor();
  // Its requests are one click away.
  await dead.getByRole('link', { name: 'Its attempts' }).click();
  await row(page, /activity \(mirror\)/).first().waitFor();
  await page.goBack();
  service.isDown = false;
  await dead.getByRole('button', { name: 'Put back' }).click();
  await dead.waitFor({ state: 'detached' });
  await until(async () => (await app.call('')).queues.every(({ dead: number }) => number === 0), 'no dead letter');
  await navigate(page, 'Requests');
  await row(page, /message activity \(mirror\).*ok/).waitFor();
  assert.equal(await page.getByRole('navigation', { name: 'Pages' }).getByText('dead letters').count(), 0);
  // Without the cause repaired it is deleted.
  service.isDown = true;
  await write('n-2');
  await write('n-3');
  await navigate(page, 'Topics and queues');
  await page.getByRole('link', { name: /^activity/ }).click();
  await until(async () => (await dead.count()) === 2, 'two dead letters');
  await page.getByRole('button', { name: 'Delete all' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await until(async () => (await dead.count()) === 0, 'all are deleted');
}

export async function the_page_returns_by_itself_when_the_app_was_killed(trial) {
  const { app, write } = await notes(trial);
  const page = await trial.open(`${app.dashboard}#/requests`);
  await write('before');
  await row(page, /PUT \/notes\/before/).waitFor();
  await page.evaluate(() => { globalThis.isSamePage = true; });
  // A browser reports a connection that fails; no page can prevent this.
  trial.allow(/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
  await app.kill();
  await page.getByText('The app does not answer. Waiting for it…').waitFor();
  await page.waitForTimeout(1_000);
  const killed = Date.now();
  await app.start();
  await page.getByText('The app does not answer. Waiting for it…').waitFor({ state: 'hidden' });
  trial.note(`back ${Date.now() - killed} ms after the start`);
  await write('after');
  await row(page, /PUT \/notes\/after/).waitFor();
  // What was before is still there, once.
  assert.equal(await row(page, /PUT \/notes\/before/).count(), 1);
  assert.equal(await page.evaluate(() => globalThis.isSamePage), true);
  // A start with another token is reported with what to do.
  await app.kill();
  app.token = app.token.split('').reverse().join('');
  trial.allow(/status of 401/);
  await app.start();
  await page.getByText('The app has started with another token. Open the address of the dashboard that it printed.').waitFor({ timeout: 30_000 });
}
