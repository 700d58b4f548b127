// A person without a mouse.

import assert from 'node:assert/strict';
import { notes } from '../app.mjs';
import { until } from '../trial.mjs';
import { isLoaded } from './tables.mjs';

/** Presses Tab until an element with this name and role has the focus, which must be visible. */
async function tab(page, role, name, key = 'Tab') {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press(key);
    const target = page.getByRole(role, { name }).and(page.locator(':focus'));
    if (!(await target.count())) continue;
    const { style, width, shadow } = await target.evaluate((node) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(node);
      return { style: outlineStyle, width: parseFloat(outlineWidth), shadow: boxShadow };
    });
    assert((style !== 'none' && width >= 1) || shadow !== 'none', `the focus of ${name} is not visible`);
    return target;
  }
  throw new Error(`no ${role} ${name} in 60 presses of ${key}`);
}

export async function the_keyboard_alone_reaches_a_record_and_runs_it_again(trial) {
  const { app, write } = await notes(trial);
  await write('n-1');
  await write('n-2');
  await until(async () => (await app.call('requests')).records.length === 8, 'all events are handled');
  const page = await trial.open(app.dashboard);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await tab(page, 'link', 'Skip to the content');
  await tab(page, 'link', /^Requests/);
  await page.keyboard.press('Enter');
  const requests = page.getByRole('grid', { name: 'Requests' });
  const grid = await tab(page, 'grid', 'Requests');
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowDown');
  const selected = page.getByRole('row', { selected: true });
  await until(async () => (await selected.getAttribute('id')) === (await grid.getAttribute('aria-activedescendant')), 'the second row is the active one');
  await page.keyboard.press('End');
  await selected.filter({ hasText: 'PUT /notes/n-1' }).waitFor();
  await page.keyboard.press('Enter');
  const pane = page.getByRole('region', { name: 'Request' });
  await pane.getByRole('heading', { name: 'PUT /notes/n-1' }).waitFor();
  await tab(page, 'button', 'Run again');
  await page.keyboard.press('Enter');
  await pane.getByText('started from the dashboard').waitFor();
  await page.keyboard.press('Escape');
  await pane.waitFor({ state: 'hidden' });
  await grid.and(page.locator(':focus')).waitFor();
  await until(async () => (await app.call('requests')).records.filter(({ title }) => title === 'PUT /notes/n-1').length === 2, 'two records');
  // Back in the history of the browser: the record again, and then the list.
  await page.goBack();
  await pane.getByRole('heading', { name: 'PUT /notes/n-1' }).waitFor();
  // The slash reaches the filter.
  await page.keyboard.press('Escape');
  await pane.waitFor({ state: 'hidden' });
  await page.keyboard.press('/');
  await page.keyboard.type('n-2');
  await page.getByRole('searchbox').and(page.locator(':focus')).waitFor();
  await requests.getByRole('row', { name: /PUT \/notes\/n-2/ }).waitFor();
  await requests.getByRole('row', { name: /PUT \/notes\/n-1/ }).first().waitFor({ state: 'detached' });
}

export async function the_keyboard_alone_edits_an_item(trial) {
  const { app, write } = await notes(trial);
  await write('n-1');
  const page = await trial.open(`${app.dashboard}#/tables/notes`);
  await page.getByRole('link', { name: 'n-1' }).waitFor();
  await tab(page, 'link', 'n-1');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'n-1' }).waitFor();
  await tab(page, 'textbox', 'Value');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('{"user":"bob","text":"beer"}');
  await tab(page, 'button', 'Save');
  await page.keyboard.press('Enter');
  await until(async () => (await app.call('tables/notes/item?partition=n-1')).text === '{"user":"bob","text":"beer"}', 'it is saved');
  await isLoaded(page.getByRole('region', { name: 'Details' }), app, 'notes', 'n-1');
  await tab(page, 'button', 'Delete');
  await page.keyboard.press('Enter');
  // The dialog holds the focus, and Escape leaves it.
  await page.getByRole('dialog').waitFor();
  assert(await page.evaluate(() => document.querySelector('dialog').contains(document.activeElement)));
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  assert.equal((await app.call('tables/notes?partition=n-1')).items.length, 1);
  await tab(page, 'button', 'Close', 'Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('region', { name: 'Details' }).waitFor({ state: 'hidden' });
}
