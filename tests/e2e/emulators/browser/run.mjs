// Trials of the dashboard in a browser.
//
//     run.mjs FOLDER CHROMIUM APPS
//
// FOLDER contains the packages, CHROMIUM is the browser, and APPS the folder of the apps that were built. Each line of standard
// input is the name of a trial: a function that a file of `trials` exports. Its result is a line of JSON:
// {"ok": bool, "message": text}. It ends where standard input ends.

import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Trial, launch } from './trial.mjs';

const [folder, chromium, apps] = process.argv.slice(2);
const here = new URL('trials/', import.meta.url);
const files = readdirSync(here).filter((name) => name.endsWith('.mjs'));
const trials = Object.assign({}, ...(await Promise.all(files.map((name) => import(new URL(name, here))))));
const browser = await launch(folder, chromium);
let before = Promise.resolve();

createInterface({ input: process.stdin })
  .on('line', (name) => { before = before.then(async () => console.log(JSON.stringify(await attempt(name)))); })
  .on('close', () => process.exit());

async function attempt(name) {
  const trial = new Trial(browser, folder, apps);
  try {
    await trial.limit(trials[name](trial));
    trial.check();
    return { ok: true, message: trial.notes.join('; ') };
  } catch (error) {
    // Playwright's errors contain colors, and what was typed.
    const text = error.stack.replaceAll(/\x1b\[\d+m/g, '').slice(0, 4_000);
    return { ok: false, message: [text, ...trial.messages()].join('\n') };
  } finally {
    await trial.close();
  }
}
