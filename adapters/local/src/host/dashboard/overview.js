// The app as a picture: what calls it on the left, what it uses on the right, and the newest failures.

import { on, resources, state, triggers } from './api.js';
import { badge, count, dim, empty, fill, h, keyed, link, plural, s, throttle, time } from './dom.js';
import { KINDS } from './requests.js';

const load = (list) => ['waiting', 'running', 'dead'].map((tone) => [tone, list.reduce((sum, one) => sum + one[tone], 0)]).filter(([, number]) => number)
	.map(([tone, number]) => ({ tone, text: tone === 'dead' ? plural(number, 'dead letter') : `${count(number)} ${tone}` }));

function trigger(one) {
	const [of, own] = [one.topic ?? one.bucket ?? one.table, one.subscription ?? one.name ?? 'default'];
	const queue = state.counts.queues.find(({ name, queue }) => name === of && queue === own);
	const source = own === 'default' ? of : `${of} → ${own}`;
	const [kind, name, ...path] = {
		http: () => ['HTTP', state.info.url, 'requests'],
		message: () => ['messages', source],
		object: () => [`object events${one.change ? `, ${one.change}` : ''}`, `${source}  ${one.prefix ?? ''}*${one.suffix ?? ''}`],
		write: () => ['writes', source],
		schedule: () => ['schedule', `${one.name}  ${one.cron}`, 'schedules'],
		function: () => ['function', one.name, 'functions', one.name],
	}[one.kind]?.() ?? [one.kind, one.name, ''];
	return { kind, name, path: queue ? ['topics', queue.kind, queue.name] : path, notes: queue ? load([queue]) : [] };
}

function resource({ kind, name, access, count: number }) {
	const missing = state.settings.find((one) => one.kind === kind && one.name === name && !one.from);
	const [path, notes] = {
		table: () => [['tables', name], [{ text: plural(number, 'item') }]],
		bucket: () => [['buckets', name], [{ text: plural(number, 'object') }]],
		topic: () => [['topics', 'topic', name], load(state.counts.queues.filter((one) => one.kind === 'topic' && one.name === name))],
	}[kind]?.() ?? [['settings'], missing ? [missing.optional ? { text: 'not set' } : { text: 'missing', tone: 'dead' }] : []];
	return { kind: `${kind === 'config' ? 'configuration' : kind}${access === 'read-write' ? '' : ` · ${access}`}`, name, path, notes };
}

const card = ({ kind, name, path, notes }) =>
	h(`a.card${notes.some((one) => one.tone === 'dead') ? '.alarm' : ''}`, { href: link(path) }, h('small', kind), h('span.key', name),
		h('span.facts', notes.map((one) => h(`span.${one.tone ?? 'dim'}`, one.text))));

/** The address of the app; a link only if it is one of HTTP. */
const address = (text) => (/^https?:\/\/[\w.:[\]-]+\/?$/.test(text) ? h('a', { href: text, target: '_blank', rel: 'noreferrer' }, text) : text ?? '');

export function overview(main) {
	const left = h('div.column', { role: 'group', 'aria-label': 'Triggers' });
	const right = h('div.column', { role: 'group', 'aria-label': 'Resources' });
	const lines = s('svg', { 'aria-hidden': 'true' });
	const app = h('div.app');
	const rings = s('svg', { viewBox: '0 0 240 200', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, [0, 1, 2].map((step) =>
		s('path', { transform: `translate(${step * 15} ${step * 12.5}) scale(${1 - step / 8})`, d: 'M118 6C176 2 228 34 234 92S196 190 130 194 14 168 6 108 58 10 118 6Z' })));
	const center = h('div.center', rings, app);
	const picture = h('div.picture', lines, left, center, right);
	const failures = h('ul.records');
	const none = empty('The app uses no resource yet. Open one where the app is built, for example a table:', 'let links = cloud.table::<Link>("links");');
	main.append(picture, none, h('section', { 'aria-label': 'Newest failures' }, h('h2', 'Newest failures'), failures));

	function refresh() {
		const { info } = state;
		none.hidden = !info || info.manifest.resources.length > 0;
		if (!info) return;
		app.replaceChildren();
		fill(app, h('strong', info.app), address(info.url), h('span', info.data), info.as && h('span', `limits of ${info.as}`), info.chaos && h('span', 'with chaos'));
		keyed(left, triggers().map(trigger), (one) => one.kind + one.name, card);
		keyed(right, ['table', 'bucket', 'topic', 'secret', 'config'].flatMap(resources).map(resource), (one) => one.kind + one.name, card);
		draw();
	}

	function draw() {
		const frame = picture.getBoundingClientRect();
		const middle = center.getBoundingClientRect();
		lines.replaceChildren(...[...left.children, ...right.children].map((node) => {
			const box = node.getBoundingClientRect();
			const [from, end] = node.parentNode === left ? [box.right, 0.16] : [box.left, 0.84];
			const [x, y] = [from - frame.left, box.top + box.height / 2 - frame.top];
			const [toX, toY] = [middle.left + middle.width * end - frame.left, middle.top + middle.height / 2 - frame.top];
			const bend = (x + toX) / 2;
			return s('path', { class: node.className, d: `M${x} ${y}C${bend} ${y} ${bend} ${toY} ${toX} ${toY}` });
		}));
	}

	const fail = throttle(() => list(failures, state.records.filter((one) => one.tone === 'error').slice(0, 5), (one) => [h('span.what', named(one)), dim(one.reason)]), 250);
	on('info settings counts', refresh);
	on('records', fail);
	const observer = new ResizeObserver(draw);
	observer.observe(picture);
	state.signal.onabort = () => observer.disconnect();
	refresh();
	fail();
}

export const named = (one) => `${KINDS[one.kind] ?? one.kind} ${one.title}`;

export const list = (parent, records, more) => keyed(parent, records.length ? records : [{}], (one) => one.id, (one) =>
	h('li', one.id ? h('a', { href: link(['requests', one.id]) }, time(one.started), badge(one.status, one.tone), more(one)) : dim('None yet.')));
