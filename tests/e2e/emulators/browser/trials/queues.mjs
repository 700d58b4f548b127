// What a person can start: messages, schedules and functions; and what waits.

import assert from 'node:assert/strict';
import { notes } from '../app.mjs';
import { until } from '../trial.mjs';

/** A row of what waits shows when it was published, and the time that is so many seconds later. */
async function isDueIn(row, seconds) {
  await row.locator('time').nth(1).waitFor();
  const [published, due] = await row.locator('time').evaluateAll((times) => times.map((one) => Date.parse(one.dateTime)));
  assert(Math.abs(due - published - 1_000 * seconds) < 1_000, `${due - published} ms`);
}

export async function a_message_is_published_with_attributes_and_a_delay(trial) {
  const { app, write, service } = await notes(trial);
  await write('n-1', 'milk');
  const page = await trial.open(`${app.dashboard}#/topics/topic/activity`);
  const form = page.getByRole('region', { name: 'Publish' });
  const calls = service.calls;
  await form.getByLabel('Message').fill('{"user": "eve", "did": "wrote", "note": "n-9"}');
  await form.getByLabel('Ordering key').fill('eve');
  await form.getByLabel('Attributes').fill('{"source": ');
  await form.getByRole('button', { name: 'Publish' }).click();
  await form.getByText(/The attributes are not JSON/).waitFor();
  await form.getByLabel('Attributes').fill('{"source": "a person"}');
  await form.getByRole('button', { name: 'Publish' }).click();
  await form.getByText(/Published as /).waitFor();
  await until(() => service.calls > calls, 'both subscriptions get it');
  await until(async () => (await app.call('tables/feed?partition=eve')).items.length === 1, 'both subscriptions get it');
  await until(async () => (await app.call('requests')).records.some(({ kind, status, title }) => kind === 'message' && status === 'ok' && title.includes('mirror')), 'a record');
  const { records } = await app.call('requests');
  const { request } = await app.call(`requests/${records.find(({ kind }) => kind === 'message').id}`);
  assert.deepEqual([request.attributes, request.ordering_key], [{ source: 'a person' }, 'eve']);
  // Delayed: it is visible while it waits, with the time at which it is due.
  await form.getByLabel('Delay').fill('600');
  trial.allow(/status of 400/);
  await form.getByRole('button', { name: 'Publish' }).click();
  await form.getByText(/ordering key/).last().waitFor();
  await form.getByLabel('Ordering key').fill('');
  await form.getByLabel('Message').fill('{"user": "late", "did": "wrote", "note": "n-9"}');
  await form.getByRole('button', { name: 'Publish' }).click();
  const waiting = page.getByRole('row').filter({ hasText: '"late"' });
  await until(async () => (await waiting.count()) === 2, 'it waits in both subscriptions');
  await isDueIn(waiting.first(), 600);
  await waiting.first().getByText('source=a person').waitFor();
  await page.getByText('1 waiting').first().waitFor();
  // The app's own delayed message.
  await app.send('POST', '/notes/n-1/remind?in=700');
  await page.goto(`${app.dashboard}#/topics/topic/reminders`);
  await isDueIn(page.getByRole('row').filter({ hasText: 'n-1' }), 700);
  // What the app rejects is a dead letter, with the reason.
  await page.getByLabel('Message').fill('no JSON');
  await page.getByRole('button', { name: 'Publish' }).click();
  await page.getByRole('row').filter({ hasText: /expected/ }).first().waitFor();
}

export async function a_schedule_runs_now(trial) {
  const { app } = await notes(trial);
  const page = await trial.open(`${app.dashboard}#/schedules`);
  const schedule = page.locator('section').filter({ has: page.getByRole('heading', { name: 'purge' }) });
  await schedule.getByText('*/15 * * * *').waitFor();
  await schedule.getByText(/Last run\s*never/).waitFor();
  const times = await schedule.locator('tbody time').evaluateAll((all) => all.map((one) => one.dateTime));
  assert.equal(times.length, 5);
  for (const [index, time] of times.entries()) {
    assert(new Date(time) > Date.now() && new Date(time).getUTCMinutes() % 15 === 0, time);
    if (index) assert.equal(new Date(time) - new Date(times[index - 1]), 900_000);
  }
  await schedule.getByRole('button', { name: 'Run now' }).click();
  await schedule.getByText('Finished.').waitFor();
  const { records } = await app.call('requests');
  assert.deepEqual(records.map(({ kind, title, status }) => [kind, title, status]), [['schedule', 'purge', 'ok']]);
}

export async function a_function_is_called_with_json_and_wrong_json_is_reported(trial) {
  const { app, write } = await notes(trial);
  await write('n-1');
  const page = await trial.open(`${app.dashboard}#/functions/reindex`);
  const form = page.getByRole('region', { name: 'Call' });
  await form.getByLabel('Request, JSON').fill('"n-1');
  await form.getByRole('button', { name: 'Call' }).click();
  await form.getByText(/The request is not JSON/).waitFor();
  await form.getByLabel('Request, JSON').fill('"n-1"');
  await form.getByRole('button', { name: 'Call' }).click();
  await form.getByLabel('Answer').getByText('null').waitFor();
  // JSON that the function does not accept.
  trial.allow(/status of [45]\d\d/);
  await form.getByLabel('Request, JSON').fill('{"note": 1}');
  await form.getByRole('button', { name: 'Call' }).click();
  await form.getByText(/invalid type: map, expected a string/).waitFor();
  const answers = page.getByRole('listitem').filter({ has: page.getByRole('link') });
  await answers.filter({ hasText: '"n-1"' }).filter({ hasText: 'null' }).waitFor();
  await answers.filter({ hasText: 'expected a string' }).getByRole('link').first().click();
  await page.getByRole('region', { name: 'Request' }).getByText(/expected a string/).first().waitFor();
}
