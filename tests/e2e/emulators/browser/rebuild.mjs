// A page of the dashboard while `isobar dev` builds and restarts the app of the template `hello`.
//
//     rebuild.mjs FOLDER CHROMIUM ISOBAR
//
// FOLDER contains the packages, CHROMIUM is the browser, and ISOBAR the command. It runs in the folder of the project.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { launch, until } from './trial.mjs';

const LIMIT = 60_000;
const [folder, chromium, isobar] = process.argv.slice(2);
const dev = spawn(isobar, ['dev', '--port', '0'], { stdio: ['ignore', 'ignore', 'pipe'] });
let log = '';
dev.stderr.on('data', (text) => { log += text; });
process.on('exit', () => dev.kill());

const source = readFileSync('src/lib.rs', 'utf8');
const save = (greeting) => writeFileSync('src/lib.rs', source.replace('"Hello, world!"', greeting));

await until(() => existsSync('.isobar/inspector.json') && log.includes(' Ready http'), 'isobar dev serves', LIMIT);
const app = log.match(/ Ready (http:\S*?)\/?\s/)[1];
const { url, token } = JSON.parse(readFileSync('.isobar/inspector.json', 'utf8'));
const send = async (path) => (await fetch(app + path)).text();

const browser = await launch(folder, chromium);
const page = await browser.newPage();
const errors = [];
page.on('pageerror', (error) => errors.push(error.stack));
await page.goto(`${url}${token}/#/requests`);
await page.evaluate(() => { globalThis.isSamePage = true; });
const row = (name) => page.getByRole('grid', { name: 'Requests' }).getByRole('row', { name });

await send('/before');
await row(/GET \/before/).waitFor();
for (let build = 1; build <= 3; build += 1) {
  save(`"build ${build}"`);
  await until(async () => (await send('/')) === `build ${build}`, `build ${build} answers`, LIMIT);
  await send(`/after-${build}`);
  await row(new RegExp(`GET /after-${build}`)).waitFor();
}
// A build that fails changes nothing: the one before serves.
save('absent');
await until(() => log.includes('cannot find value `absent`'), 'the build fails', LIMIT);
await send('/meanwhile');
await row(/GET \/meanwhile/).waitFor();
// The requests of all builds are there, each once, and one of the first build runs again in the newest.
for (const path of ['before', 'after-1', 'after-2', 'after-3']) assert.equal(await row(new RegExp(`GET /${path}`)).count(), 1, path);
await row(/GET \/before/).click();
const details = page.getByRole('region', { name: 'Request' });
await details.getByRole('heading', { name: 'GET /before' }).waitFor();
await details.getByRole('button', { name: 'Run again' }).click();
await details.getByText('started from the dashboard').waitFor();
assert.equal(await page.evaluate(() => globalThis.isSamePage), true);
assert(await page.getByText('The app does not answer.').isHidden());
assert.deepEqual(errors, []);
await browser.close();

const ended = once(dev, 'exit');
dev.kill();
await ended;
process.exit();
