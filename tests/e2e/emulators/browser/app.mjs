// An app of this repository as a process, with its data in a temporary folder.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './trial.mjs';

const running = new Set();
process.on('exit', () => running.forEach((app) => app.kill('SIGKILL')));

export class App {
  token = randomBytes(16).toString('hex');
  data = mkdtempSync(join(tmpdir(), 'dashboard-'));
  ports = [];
  log = '';

  static async start(program, variables) {
    const app = Object.assign(new App(), { program, variables });
    await app.start();
    return app;
  }

  /** Starts it, on the same ports as before. */
  async start() {
    const [port = 0, inspectPort] = this.ports;
    const options = ['--port', port, ...(inspectPort ? ['--inspect-port', inspectPort] : [])];
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(ISOBAR_|PORT$|RUST_LOG$)/.test(name)));
    const env = { ...inherited, ISOBAR_DATA: this.data, ISOBAR_INSPECT_TOKEN: this.token, ...this.variables };
    this.process = spawn(this.program, options, { cwd: this.data, env, stdio: ['ignore', 'ignore', 'pipe'] });
    running.add(this.process);
    this.process.once('exit', () => running.delete(this.process));
    this.process.stderr.on('data', (text) => { this.log += text; });
    const info = await until(() => {
      if (this.process.exitCode !== null) throw new Error(`${this.program} ended: ${this.log}`);
      return this.#info();
    }, `${this.program} answers: ${this.log}`);
    this.url = info.url.replace(/\/$/, '');
    this.ports = [new URL(info.url).port, new URL(this.inspector).port];
  }

  async #info() {
    try {
      // A file of a process that was killed has the same address.
      this.inspector = JSON.parse(readFileSync(join(this.data, 'inspector.json'), 'utf8')).url.replace(/\/$/, '');
      return await this.call('');
    } catch {
      return null;
    }
  }

  /** The address of the dashboard. */
  get dashboard() {
    return `${this.inspector}/${this.token}/`;
  }

  /** Calls the inspector as a tool does, and returns the JSON of its response. */
  async call(path, options = {}) {
    const response = await fetch(this.dashboard + path, { ...options, headers: { accept: 'application/json', ...options.headers } });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${path}: ${text}`);
    return JSON.parse(text);
  }

  /** Sends a request to the app. */
  send(method, path, body, headers) {
    const content = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body;
    return fetch(this.url + path, { method, body: content, headers: { 'content-type': 'application/json', ...headers }, redirect: 'manual' });
  }

  async kill() {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await ended;
  }

  async close() {
    await this.kill();
    rmSync(this.data, { recursive: true, force: true });
  }
}

export const SECRETS = ['hunter2-of-telegram', '1:hunter2-of-the-bot'];

/** Starts the chatbot with the secrets of Telegram, and without those of Slack. */
export async function chatbot(trial) {
  const service = await trial.service();
  const app = await trial.app('chatbot', {
    ISOBAR_CONFIG_APIS: JSON.stringify({ telegram: service.url }),
    ISOBAR_SECRET_TELEGRAM_SECRET_TOKEN: SECRETS[0],
    ISOBAR_SECRET_TELEGRAM_BOT_TOKEN: SECRETS[1],
  });
  let number = 0;
  /** The webhook of Telegram, for a message of a person. */
  const say = (text) => {
    number += 1;
    const from = { id: 7, is_bot: false, first_name: 'Ada' };
    const message = { message_id: number, date: 1_790_000_000, text, chat: { id: 7, type: 'private', first_name: 'Ada' }, from };
    return app.send('POST', '/telegram', { update_id: number, message }, { 'x-telegram-bot-api-secret-token': SECRETS[0] });
  };
  return { app, service, say };
}

/** Starts the notes, which have each kind of trigger, with the service to which they forward. */
export async function notes(trial) {
  const service = await trial.service();
  const app = await trial.app('notes', { ISOBAR_CONFIG_MIRROR: JSON.stringify({ url: service.url }) });
  const write = (id, text = 'milk and bread', user = 'ada') => app.send('PUT', `/notes/${id}`, { user, text });
  return { app, service, write };
}
