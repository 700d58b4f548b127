// Schedules and functions: what a person can start.

import { call, get, on, send, state, triggers } from './api.js';
import { action, dim, distance, duration, empty, field, h, json, jsonError, keyed, pre, table, throttle, time } from './dom.js';
import { list } from './overview.js';
import { choose, onChange } from './parts.js';

export function schedules(main) {
	const place = h('div.panels');
	main.append(place);
	const none = empty('The app has no schedule yet. Add one where the app is built; its five fields are in UTC:', '.on_schedule("sweep", "0 3 * * *", sweep)');
	const panel = ({ name, cron }) => h('section.panel',
		h('div.buttons', h('h2', name), h('code', cron), dim('UTC'), action('Run now', async () => (await call('POST', ['schedules', name])) && 'Finished.', 'primary')), h('div'));
	const refresh = async () => {
		const known = (await get(['schedules']).catch(() => null))?.schedules;
		if (!known) return;
		keyed(place, known.length ? known.map(({ name, cron }) => ({ name, cron })) : [{}], (one) => one.name, (one) => (one.name ? panel(one) : none));
		for (const [index, { last, next }] of known.entries()) {
			place.children[index].lastChild.replaceChildren(h('p', dim('Last run '), time(last)),
				table(['Next times, local', ''], next.map((at) => h('tr', h('td', time(at)), h('td', distance(at))))));
		}
	};
	const timer = setInterval(refresh, 20_000);
	state.signal.onabort = () => clearInterval(timer);
	onChange(refresh);
}

export function functions(main, to) {
	const name = to.path[1];
	choose(main, 'functions', name, () => triggers('function').map((one) => ({ id: one.name })), 'function', '.on_invoke("stats", stats)');
	if (!name) return {};
	const text = h('textarea', { rows: 5, spellcheck: 'false', value: 'null' });
	const answer = h('div', { role: 'status' });
	const run = async () => {
		answer.replaceChildren();
		const wrong = jsonError(text.value);
		if (wrong) throw new Error(`The request is not JSON: ${wrong}`);
		const from = performance.now();
		const received = await (await send('POST', ['functions', name], {}, { body: text.value })).text();
		answer.replaceChildren(pre(json(received) ?? received, 'Answer'));
		return `Answered in ${duration(performance.now() - from)}.`;
	};
	const last = h('ul.records');
	main.append(h('section.panel', { 'aria-label': 'Call' }, field('Request, JSON', text), action('Call', run, 'primary'), answer), h('h2', 'Last answers'), last);
	const known = new Map();
	const refresh = throttle(async () => {
		const own = state.records.filter((one) => one.kind === 'invoke' && one.title === name).slice(0, 8);
		await Promise.all(own.filter((one) => one.took !== null && !known.has(one.id)).map(async ({ id }) => {
			const { request, response } = await get(['requests', id]).catch(() => ({}));
			known.set(id, [request, response].map((part) => part?.body?.text?.slice(0, 200) ?? '').join(' → '));
		}));
		list(last, own.map((one) => ({ ...one, text: known.get(one.id) })), (one) => [dim(duration(one.took)), h('span.key', one.text), dim(one.reason)]);
	}, 300);
	on('records', refresh);
	refresh();
	return { update: (next) => next.path[1] === name };
}
