// What a trial uses: apps, a fake of the services that they call, and pages that record each message of the console.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { App } from './app.mjs';

const OPTIONS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

const LIMIT = 180_000;

/** The widths of a window of a laptop, and of a phone. */
export const WIDE = { width: 1280, height: 800 };
export const NARROW = { width: 390, height: 800 };

export const launch = (folder, executablePath) =>
  createRequire(`${folder}/`)('playwright-core').chromium.launch({ executablePath, args: OPTIONS });

export class Trial {
  /** Figures that the trial reports. */
  notes = [];
  #closers = [];
  #messages = [];
  #allowed = [];

  constructor(browser, folder, apps) {
    Object.assign(this, { browser, folder, apps });
  }

  /** Starts an app, in a new data folder. */
  async app(name, variables = {}) {
    const app = await App.start(`${this.apps}/${name}`, variables);
    this.#closers.push(() => app.close());
    return app;
  }

  /** Starts a server. `respond` returns status, headers and body. */
  async server(respond) {
    const server = createServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray());
      const [status, headers, content] = await respond(request, body);
      response.writeHead(status, headers).end(content);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    this.#closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${server.address().port}`;
  }

  /** Starts a service that the apps call. It accepts everything, or fails while `isDown`. */
  async service() {
    const service = { isDown: false, calls: 0 };
    service.url = await this.server(() => {
      service.calls += 1;
      return service.isDown
        ? [503, { 'content-type': 'application/json' }, '{"ok":false,"description":"no luck today"}']
        : [200, { 'content-type': 'application/json' }, '{"ok":true,"result":{}}'];
    });
    return service;
  }

  /** Opens a page in a new session of the browser. */
  async open(url, { viewport = WIDE, colorScheme = 'light' } = {}) {
    const context = await this.browser.newContext({ viewport, colorScheme });
    context.setDefaultTimeout(10_000);
    this.#closers.unshift(() => context.close());
    const page = await context.newPage();
    page.on('console', (one) => this.#messages.push(`${one.type()}: ${one.text()} (${one.location().url})`));
    page.on('pageerror', (error) => this.#messages.push(`error: ${error.stack}`));
    page.on('requestfailed', (request) => {
      // A page that is left ends its requests.
      const { errorText } = request.failure();
      if (errorText !== 'net::ERR_ABORTED') this.#messages.push(`failed: ${request.url()}: ${errorText}`);
    });
    await page.goto(url);
    return page;
  }

  /** Declares messages of the console that the trial causes. */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  messages() {
    return this.#messages.filter((message) => !this.#allowed.some((pattern) => pattern.test(message)));
  }

  /** Fails where a page wrote a message to the console. */
  check() {
    const messages = this.messages();
    if (messages.length > 0) throw new Error(`messages of the console:\n${messages.join('\n')}`);
  }

  note(text) {
    this.notes.push(text);
  }

  async limit(trial) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the trial did not end within ${LIMIT} ms`)), LIMIT);
    });
    await Promise.race([trial, late]).finally(() => clearTimeout(timer));
  }

  async close() {
    for (const close of this.#closers) await close();
  }
}

/** Waits until `check` returns something. */
export async function until(check, what, limit = 15_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
