// Topics and queues: publish, what waits, and dead letters.

import { call, get, on, resources, state } from './api.js';
import { action, ask, badge, body, count, dim, empty, field, h, jsonError, link, plural, time } from './dom.js';
import { choose, onChange, pages } from './parts.js';

const LABEL = { topic: '', bucket: 'events of bucket ', table: 'writes of table ' };

function sources() {
	const all = new Map(resources('topic').map((one) => [`topic/${one.name}`, { ...one, dead: 0, waiting: 0 }]));
	for (const one of state.counts.queues) {
		const id = `${one.kind}/${one.name}`;
		const { dead = 0, waiting = 0 } = all.get(id) ?? {};
		all.set(id, { ...one, dead: dead + one.dead, waiting: waiting + one.waiting });
	}
	return [...all].map(([id, { kind, name, dead, waiting }]) => ({
		id, text: LABEL[kind] + name, bad: dead > 0, note: dead ? `${count(dead)} dead` : waiting > 0 && `${count(waiting)} waiting`,
	}));
}

export function topics(main, to) {
	const [, kind, name] = to.path;
	choose(main, 'topics', name && `${kind}/${name}`, sources, 'topic', 'let clicks = cloud.topic::<Click>("clicks");', '.on_message(&clicks, handler)', 'clicks.publish(click).await?;');
	if (!name) return {};
	const none = empty('No handler receives these messages yet. Add one:', `.on_message(&${name.replaceAll('-', '_')}, handler)`);
	const place = h('div.panels', kind === 'topic' && publish(name), none);
	main.append(place);
	const shown = new Map();
	const draw = () => {
		for (const one of state.counts.queues.filter((one) => one.kind === kind && one.name === name)) {
			if (!shown.has(one.queue)) {
				shown.set(one.queue, queue(one));
				place.append(shown.get(one.queue).node);
				if (one.queue === to.query.queue) shown.get(one.queue).node.scrollIntoView();
			}
			shown.get(one.queue).draw(one);
		}
		none.hidden = !state.info || shown.size > 0;
	};
	on('info counts', draw);
	draw();
	return { update: ({ path }) => path[1] === kind && path[2] === name };
}

function publish(topic) {
	const text = h('textarea', { rows: 3, spellcheck: 'false', placeholder: '{"id": "ada"}' });
	const key = h('input');
	const attributes = h('input', { placeholder: '{"source": "test"}' });
	const delay = h('input', { type: 'number', min: 0, max: 900 });
	const run = async () => {
		if (!delay.checkValidity()) throw new Error('The delay must be whole seconds from 0 to 900.');
		const wrong = attributes.value && jsonError(attributes.value);
		if (wrong) throw new Error(`The attributes are not JSON: ${wrong}`);
		const parameters = { ordering_key: key.value, delay: delay.value, attributes: attributes.value };
		return `Published as ${(await call('POST', ['topics', topic], parameters, text.value)).id}.`;
	};
	return h('section.panel', { 'aria-label': 'Publish' }, field('Message', text),
		h('div.fields', field('Ordering key', key), field('Attributes', attributes), field('Delay', delay, 'seconds')), action('Publish', run, 'primary'));
}

function queue({ kind, name, queue: own }) {
	const facts = h('span.facts');
	const chosen = new Set();
	const about = (one) => h('p.dim', [`message ${one.id}`, one.ordering_key && `ordering key ${one.ordering_key}`, ...Object.entries(one.attributes ?? {}).map((pair) => pair.join('='))].filter(Boolean).join('  '));
	const read = (what, after) => get([what, `${kind}s`, name], { queue: own, limit: 100, after });
	const waiting = pages(['Message', 'Attempt|number', 'Published|wide', 'Due'], (one) => one.id, (one) => h('tr',
		h('td.key', one.type === 'binary' && dim('bytes '), one.preview, about(one)), h('td.number', one.attempt), h('td.wide', time(one.published_at)),
		h('td', !one.due ? 'after others of its key' : new Date(one.due) > Date.now() ? time(one.due) : 'now')),
	async () => ({ rows: (await read('queues')).messages }), h('p.dim', 'Nothing waits.'));

	const settle = (label, method, ids = () => null) => action(label, async () => {
		const these = ids();
		if (these?.length === 0) throw new Error('Select some first.');
		if (method === 'DELETE' && !(await ask(`Delete ${these ? plural(these.length, 'dead letter') : 'all dead letters'}?`))) return '';
		const answer = await call(method, ['dead-letters', `${kind}s`, name], { queue: own, ids: these?.join() });
		for (const id of these ?? [...chosen]) chosen.delete(id);
		refresh();
		said.textContent = answer.redriven >= 0 ? `${plural(answer.redriven, 'message')} put back.` : `${plural(answer.dropped, 'dead letter')} deleted.`;
	}, method === 'DELETE' ? 'danger' : '');
	const said = h('p.ok', { role: 'status' });
	const select = (id) => h('input', { type: 'checkbox', 'aria-label': `Select ${id}`, checked: chosen.has(id), onchange: (event) => chosen[event.target.checked ? 'add' : 'delete'](id) });
	const dead = pages(['', 'Reason', 'Attempts|number wide', 'Died|wide', ''], (one) => one.id, (one) => h('tr', h('td', select(one.id)),
		h('td.key', h('span.bad', one.reason), about(one),
			h('details', h('summary', 'Body and attributes'), body({ size: 1, text: one.body, hex: one.body_hex })), h('a', { href: link(['requests'], { q: `id:${one.id}` }) }, 'Its attempts')),
		h('td.number.wide', one.attempts), h('td.wide', time(one.died_at)), h('td', settle('Put back', 'POST', () => [one.id]), settle('Delete', 'DELETE', () => [one.id]))),
	async (after) => {
		const rows = (await read('dead-letters', after)).dead_letters;
		return { rows, next: rows[99]?.id };
	}, h('p.dim', 'No dead letters.'));
	const selected = () => [...chosen];
	const actions = h('p.buttons', settle('Put back selected', 'POST', selected), settle('Put back all', 'POST'), settle('Delete selected', 'DELETE', selected), settle('Delete all', 'DELETE'));
	function refresh() {
		waiting.refresh();
		dead.refresh();
	}
	onChange(refresh);
	const title = kind === 'topic' ? `Subscription ${own}` : `Queue ${own}`;
	return {
		node: h('section.panel', h('div.buttons', h('h2', title), facts), h('h3', 'Waiting'), waiting.node, h('h3', 'Dead letters'), actions, said, dead.node),
		draw(counts) {
			actions.hidden = !counts.dead;
			facts.replaceChildren(`${count(counts.waiting)} waiting`, badge(`${count(counts.running)} running`, counts.running && 'running'), badge(`${count(counts.dead)} dead`, counts.dead && 'error'));
		},
	};
}
