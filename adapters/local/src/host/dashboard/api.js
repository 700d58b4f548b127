// Calls to the server, and what its event stream has sent.

import { search } from './dom.js';

export const url = (path, parameters = {}) => `./${path.map(encodeURIComponent).join('/')}${search(parameters)}`;

/** The response to a call. The status of its error is 0 without an answer. */
export async function send(method, path, parameters, options = {}) {
	const response = await fetch(url(path, parameters), { method, ...options, headers: { accept: 'application/json', ...options.headers } }).catch(() => null);
	if (response?.ok) return response;
	let message = response ? await response.text() : 'The app does not answer.';
	try {
		({ message } = JSON.parse(message));
	} catch { /* Another program answered. */ }
	throw Object.assign(new Error(message), { status: response?.status ?? 0 });
}
export const call = async (method, path, parameters, body) => (await send(method, path, parameters, { body })).json();
export const get = (path, parameters) => call('GET', path, parameters);

/** `records` begins with the newest. `signal` ends with the page in view. */
export const state = { info: null, counts: { queues: [] }, settings: [], records: [], more: true, signal: null };
const MOST_RECORDS = 10_000;

const bus = new EventTarget();
const changed = (part, detail) => bus.dispatchEvent(new CustomEvent(part, { detail }));
/** Calls `run` on each change of `info`, `counts`, `records`, `online` or `settings`, while the page is in view. */
export function on(parts, run) {
	for (const part of parts.split(' ')) bus.addEventListener(part, (event) => run(event.detail), { signal: state.signal ?? undefined });
}

export function place(id) {
	let [low, high] = [0, state.records.length];
	while (low < high) {
		const middle = (low + high) >> 1;
		if (state.records[middle].id > id) low = middle + 1;
		else high = middle;
	}
	return low;
}

function keep(records) {
	for (const one of records) {
		const at = place(one.id);
		state.records.splice(at, state.records[at]?.id === one.id ? 1 : 0, one);
	}
	state.records.length = Math.min(state.records.length, MOST_RECORDS);
	changed('records', records);
}

export async function loadOlder() {
	const { records, more } = await get(['requests'], { before: state.records.at(-1)?.id, limit: 200 });
	state.more = more && state.records.length < MOST_RECORDS - 200;
	keep(records);
}

async function describe() {
	state.info = await get([]);
	state.counts = state.info;
	changed('info');
	state.settings = (await get(['settings'])).settings;
	changed('settings');
}

export const resources = (kind) => (state.info?.manifest.resources ?? []).filter((one) => one.kind === kind)
	.map((one) => ({ ...one, count: state.counts[`${kind}s`]?.find(({ name }) => name === one.name)?.count ?? 0 }));

export const triggers = (kind) => (state.info?.manifest.triggers ?? []).filter((one) => !kind || one.kind === kind);

let waiting = 0;
/** Follows the event stream, over restarts of the app. */
export function follow(cursor) {
	clearTimeout(waiting);
	const source = new EventSource(url(['events'], { after: cursor }));
	source.onopen = () => {
		changed('online', 'yes');
		describe().catch(() => {});
	};
	source.addEventListener('records', (event) => {
		const { records } = JSON.parse(event.data);
		// The first event has the newest 500.
		if (!cursor) state.more = records.length >= 500;
		cursor = event.lastEventId;
		keep(records);
	});
	source.addEventListener('counts', (event) => {
		state.counts = JSON.parse(event.data);
		changed('counts');
		const isLost = (one) => one.took === null && one.started < state.counts.since;
		const lost = state.records.filter(isLost).map((one) => ({ ...one, took: 0, status: 'gone', tone: 'warn', reason: 'the process ended before its result' }));
		if (lost.length) keep(lost);
	});
	// A browser has at most six connections to one server: a page that is not visible needs none.
	document.onvisibilitychange = () => {
		if (document.hidden) source.close();
		else if (source.readyState === EventSource.CLOSED) follow(cursor);
	};
	source.onerror = async () => {
		if (document.hidden) return;
		changed('online', 'no');
		if (source.readyState !== EventSource.CLOSED) return;
		// The browser gave up because of the status.
		const status = await get([]).catch((error) => error.status);
		if (status === 401) changed('online', 'other');
		waiting = setTimeout(follow, status === 401 ? 10_000 : 2000, cursor);
	};
}
