// Each page of the dashboard, as a person opens it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chatbot, notes } from '../app.mjs';
import { NARROW, WIDE, until } from '../trial.mjs';

/** The pages by their name, and what they show of the notes and of the chatbot. */
const PAGES = {
  Overview: [/activity → mirror/, /messages/], Requests: [/PUT \/notes\/n-1/, /POST \/telegram/], Tables: [/Partition/, /telegram/],
  Buckets: [/images\//, /The app has no bucket yet/], 'Topics and queues': [/Subscription mirror/, /incoming/], Schedules: [/purge/, /The app has no schedule yet/],
  Functions: [/reindex/, /The app has no function yet/], 'Secrets and configuration': [/variable ISOBAR_CONFIG_MIRROR/, /slack-signing-secret/],
};

export const navigate = (page, name) =>
  page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: new RegExp(`^${name}`) }).click();

/** Apps with something on each page. */
async function filled(trial) {
  const { app, write, service } = await notes(trial);
  await write('n-1');
  service.isDown = true;
  await write('n-2');
  await app.send('PUT', '/files/images/a.png', 'no image');
  await app.send('POST', '/notes/n-1/remind?in=600');
  const other = await chatbot(trial);
  await other.say('hello');
  return [app, other.app];
}

export async function every_page_opens_from_the_navigation_without_a_message(trial) {
  const apps = await filled(trial);
  for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [WIDE, NARROW]) {
      for (const app of apps) {
        const page = await trial.open(app.dashboard, { viewport, colorScheme });
        for (const [name, texts] of Object.entries(PAGES)) {
          await navigate(page, name);
          await page.getByRole('heading', { level: 1, name, exact: true }).waitFor({ state: 'attached' });
          await page.getByRole('main').getByText(texts[apps.indexOf(app)]).first().waitFor();
          assert.match(await page.title(), new RegExp(`^${name} · `));
          await page.waitForLoadState('load');
          await page.waitForTimeout(150);
          const [content, width] = await page.evaluate(() => {
            const main = document.querySelector('main');
            return [Math.max(document.documentElement.scrollWidth, main.scrollWidth + innerWidth - main.clientWidth), innerWidth];
          });
          assert(content <= width, `${name} is ${content} wide in a window of ${width}`);
        }
        await page.context().close();
      }
    }
  }
}

export async function a_narrow_window_shows_what_matters(trial) {
  const [app] = await filled(trial);
  await until(async () => (await app.call('')).queues.some(({ dead }) => dead > 0), 'a dead letter');
  const page = await trial.open(app.dashboard, { viewport: NARROW });
  const isVisible = (locator) => locator.evaluate((node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight;
  });
  // Also where the page was opened by its address.
  for (const name of Object.keys(PAGES)) {
    const link = page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: new RegExp(`^${name}`) });
    await page.goto(new URL(await link.getAttribute('href'), app.dashboard).href);
    await page.reload();
    await link.and(page.locator('[aria-current=page]')).waitFor();
    await until(() => isVisible(link), `the current link ${name} is in view`, 3_000);
  }
  // A dead letter can be read and put back.
  await navigate(page, 'Overview');
  await page.getByRole('group', { name: 'Triggers' }).getByRole('link', { name: /activity → mirror/ }).click();
  await until(() => isVisible(page.getByRole('heading', { name: 'Subscription mirror' })), 'the link leads to the subscription');
  const dead = page.getByRole('row').filter({ hasText: 'gave up after 2 attempts' }).first();
  await dead.scrollIntoViewIfNeeded();
  const { width } = await dead.getByText(/^gave up after 2 attempts/).boundingBox();
  assert(width > 150, `the reason is ${width} wide`);
  for (const name of ['Put back', 'Delete']) {
    const { x, width: own } = await dead.getByRole('button', { name }).boundingBox();
    assert(x >= 0 && x + own <= NARROW.width, `${name} is from ${x} to ${x + own}`);
  }
}

export async function axe_finds_no_violation_on_any_page(trial) {
  const axe = readFileSync(createRequire(`${trial.folder}/`).resolve('axe-core/axe.min.js'), 'utf8');
  const found = [];
  const analyze = async (page, where) => {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() =>
      globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
    for (const { id, nodes } of violations) found.push(`${where}: ${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\n  ')}`);
  };
  const [app, other] = await filled(trial);
  const { records } = await app.call('requests');
  for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [WIDE, NARROW]) {
      const where = (name) => `${name}, ${colorScheme}, ${viewport.width}`;
      const page = await trial.open(app.dashboard, { viewport, colorScheme });
      for (const name of Object.keys(PAGES)) {
        await navigate(page, name);
        await page.waitForTimeout(400);
        await analyze(page, where(name));
      }
      for (const path of [`requests/${records[0].id}`, 'tables/notes', 'buckets/files', 'topics/topic/activity?queue=mirror', 'functions/reindex']) {
        await page.goto(`${app.dashboard}#/${path}`);
        await page.waitForTimeout(400);
        await analyze(page, where(path));
      }
      await page.goto(`${other.dashboard}#/settings`);
      await page.waitForTimeout(400);
      await analyze(page, where('settings of the chatbot'));
      await page.context().close();
    }
  }
  assert.deepEqual(found, []);
}
