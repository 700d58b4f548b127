// The live list of requests and events, and one of them with its trace, log, request and response.

import { call, get, loadOlder, on, place, state } from './api.js';
import { action, badge, body, button, clock, count, dim, duration, empty, go, h, keyed, link, pairs, plural, size, table, throttle, time } from './dom.js';
import { named } from './overview.js';
import { split } from './parts.js';

export const KINDS = { http: 'HTTP', message: 'message', object: 'object event', write: 'write', schedule: 'schedule', invoke: 'function' };
const COLUMNS = { when: 'Time', kind: 'Kind', title: 'Title', status: 'Status', took: 'Duration', attempt: 'Attempt' };
const STEP = 200;

const cells = (role, values) => Object.entries(values).map(([name, value]) => h(`span.${name}`, { role }, value));
const row = (one) =>
	h(`div.row.${one.tone}`, { role: 'row', id: `r${one.id}`, title: one.reason }, cells('gridcell', {
		when: clock(one.started), kind: KINDS[one.kind] ?? one.kind, title: [one.title, dim(' ', one.reason)],
		status: badge(one.status, one.tone), took: duration(one.took), attempt: one.attempt > 1 && `×${one.attempt}`,
	}));

export function requests(main, to) {
	let { query } = to;
	let [list, frozen, selected, limit] = [[], null, null, STEP];
	const open = { id: null, trace: null };

	const kinds = ['', ...Object.keys(KINDS)].map((kind) => [kind, button(KINDS[kind] ?? 'All', () => filter('kind', kind), 'chip')]);
	const failed = button('Failed only', () => filter('failed', query.failed ? '' : 1), 'chip');
	const text = h('input', { type: 'search', placeholder: 'Filter  /', 'aria-label': 'Filter by title, status, reason or trace', oninput: () => filter('q', text.value) });
	const pause = button('Pause', () => {
		frozen = frozen ? null : [...state.records];
		refresh();
	}, 'chip');
	const total = h('span.dim.total');
	const found = h('span.hidden', { role: 'status' });
	const rows = h('div', { role: 'rowgroup' });
	const older = action('Load older requests', more);
	const none = h('div', { role: 'presentation' });
	const grid = h('div.grid', { role: 'grid', tabindex: 0, 'aria-label': 'Requests', onkeydown: move, onclick: pick },
		h('div.row.head', { role: 'row' }, cells('columnheader', COLUMNS)), rows, none);
	main.append(h('div.toolbar', h('div.chips', { role: 'group', 'aria-label': 'Kind' }, kinds.map(([, node]) => node)), failed, text, pause, total, found));
	const close = () => go(address());
	const show = split(main, 'Request', close, grid, older);

	const address = (id) => link(id ? ['requests', id] : ['requests'], query);

	function filter(name, value) {
		query = { ...query, [name]: value };
		history.replaceState(null, '', address(open.id));
		grid.scrollTop = 0;
		refresh();
		found.textContent = plural(list.length, 'request');
	}

	function refresh() {
		const { kind = '', failed: only, q = '' } = query;
		const part = q.toLowerCase();
		const all = frozen ?? state.records;
		const texts = (one) => [one.title, one.status, one.reason, one.trace, one.invocation, KINDS[one.kind]];
		const has = (one) => `id:${one.message}` === q || texts(one).some((value) => value?.toLowerCase().includes(part));
		list = all.filter((one) => (!kind || one.kind === kind) && (!only || ['error', 'warn'].includes(one.tone)) && (!part || has(one)));
		keyed(rows, list.slice(0, limit), (one) => one.id, row);
		mark();
		for (const [name, node] of kinds) node.ariaPressed = name === kind;
		failed.ariaPressed = Boolean(only);
		pause.ariaPressed = Boolean(frozen);
		const news = frozen ? place(frozen[0]?.id ?? 0) : 0;
		pause.textContent = frozen ? `Resume${news ? ` (${count(news)} new)` : ''}` : 'Pause';
		const missed = state.counts.unrecorded;
		total.textContent = `${list.length === all.length ? '' : `${count(list.length)} of `}${count(all.length)}${missed ? `, ${count(missed)} more not recorded` : ''}`;
		older.hidden = !all.length || (list.length <= limit && (!state.more || frozen));
		none.replaceChildren(list.length ? '' : all.length ? empty('No request matches the filter.')
			: empty('No request yet. Send the first one; it appears here while it runs.', `curl ${state.info?.url ?? ''}`));
	}

	function mark() {
		rows.querySelector('[aria-selected]')?.removeAttribute('aria-selected');
		const node = document.getElementById(`r${selected}`);
		if (node) node.ariaSelected = true;
		grid.setAttribute('aria-rowcount', list.length + 1);
		grid.setAttribute('aria-activedescendant', node ? node.id : '');
		return node;
	}

	async function more() {
		limit += STEP;
		if (list.length < limit && state.more && !frozen) await loadOlder();
		refresh();
	}

	const follow = throttle(() => location.replace(address(selected)), 80);

	function move(event) {
		const at = list.findIndex((one) => one.id === selected);
		const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 20, PageUp: at - 20, Home: 0, End: limit }[event.key];
		if (event.key === 'Escape') close();
		else if (event.key === 'Enter') go(address(selected));
		else if (to !== undefined && list.length) {
			event.preventDefault();
			selected = list[Math.min(Math.max(to, 0), list.length - 1, limit - 1)].id;
			mark().scrollIntoView({ block: 'nearest' });
			if (open.id) follow();
		}
	}

	function pick(event) {
		const node = event.target.closest('[id^=r]');
		if (node) go(address(node.id.slice(1)));
	}

	const load = throttle(async () => {
		const { id } = open;
		if (!id) return;
		const record = state.records.find((one) => one.id === id);
		const shown = await get(['requests', id]).catch((error) => ({ error, record }));
		// Without an answer the last one stays in view.
		if (id !== open.id || (shown.error?.status === 0 && open.trace)) return;
		open.trace = shown.record?.trace;
		show(shown.record?.title ?? 'Request', detail(shown, address));
	}, 250);

	function update({ path, query: next }) {
		const id = Number(path[1]) || null;
		query = next;
		text.value = query.q ?? '';
		if (id !== open.id) {
			Object.assign(open, { id, trace: null });
			if (id) selected = id;
			else show();
			load();
		}
		refresh();
		return true;
	}

	const soon = throttle(refresh, 50);
	on('records info', (records) => {
		soon();
		if (!records || records.some((one) => one.id === open.id || one.trace === open.trace)) load();
	});
	update(to);
	return { update };
}

const shut = new Set(['Request headers', 'Response headers']);

function section(name, note, ...children) {
	const node = h('details', { open: !shut.has(name), ontoggle: () => shut[node.open ? 'delete' : 'add'](name) }, h('summary', h('h3', name), dim(note)), children);
	return node;
}

function detail({ record, error, request = {}, response, lines, trace, more }, address) {
	const failure = error && h('p.reason.warn', error.status === 404 ? 'The details are no longer stored.' : error.message);
	if (!record) return failure;
	const again = async () => go(address((await call('POST', ['requests', record.id])).id));
	const { method, uri, headers, body: sent, ...about } = request;
	const facts = [KINDS[record.kind] ?? record.kind, time(record.started), duration(record.took), record.attempt > 1 && `attempt ${record.attempt}`, record.again && 'started from the dashboard'];
	const kind = ['topic', 'bucket', 'table'].find((one) => request[one]);
	const isDead = record.status === 'dead' && kind;
	const dead = isDead && h('p', h('a', { href: link(['topics', kind, request[kind]], { queue: request.queue }) }, 'It is a dead letter: put it back'), dim(' “Run again” only calls the handler; the dead letter stays.'));
	const listed = (name, list) => list?.length > 0 && section(name, count(list.length), pairs(list));
	return [
		h('p.facts', badge(record.status, record.tone), facts.filter(Boolean).map((fact) => h('span', fact))),
		record.reason && h(`p.reason.${record.tone}`, record.reason), failure, dead,
		record.can_run_again && action('Run again', again, isDead ? '' : 'primary'),
		trace && section('Trace', `${plural(trace.length, 'record')} · ${record.trace}`, waterfall(trace, record.id, address)),
		lines && section('Log', plural(lines.length, 'line'), log(lines), more > 0 && h('p.dim', `${count(more)} more are not stored.`)),
		!error && section('Request', sent && size(sent.size), method && h('p.key', `${method} ${uri}`), pairs(Object.entries(about)), sent && body(sent)),
		listed('Request headers', headers),
		response && section('Response', String(response.status ?? ''), body(response.body)),
		listed('Response headers', response?.headers),
	];
}

const plain = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
const log = (lines) => (lines.length === 0 ? h('p.dim', 'It logged nothing. Lines of tracing::info! appear here.') : h('ol.log', lines.map(({ at_ms: at, level, target, message, fields = {} }) =>
	h('li', dim(duration(at)), h(`span.${level}`, level), h('span', message, dim(Object.entries(fields).map(([name, value]) => ` ${name}=${plain(value)}`), `  ${target}`))))));

/** Records and operations as bars. Time in which nothing ran is a line of text, so that short records stay visible. */
function waterfall(trace, own, address) {
	const spans = trace.map(({ record, operations }) => {
		const took = record.took ?? Math.max(0, ...operations.map((one) => one.start_ms + (one.took_ms ?? 0)));
		return { record, operations, from: record.started, to: record.started + Math.max(took, 0.01) };
	}).sort((a, b) => a.from - b.from);
	const busy = [];
	let width = 0;
	for (const { from, to } of spans) {
		const last = busy.at(-1);
		const added = from <= last?.to ? Math.max(0, to - last.to) : to - from;
		if (from <= last?.to) last.to += added;
		else busy.push({ from, to, at: width });
		width += added;
	}
	const x = (at) => {
		const one = busy.findLast(({ from }) => from <= at) ?? busy[0];
		return (100 * (one.at + Math.min(at, one.to) - one.from)) / width;
	};
	const line = (kind, name, tone, from, took, to) => {
		const bar = h(`span.${tone}`);
		Object.assign(bar.style, { left: `${x(from)}%`, width: `${x(to) - x(from)}%` });
		return h(`tr.${kind}`, h('th', name), h('td', `+${duration(from - start)}`), h('td', took === null ? 'running' : duration(took)), h('td.chart', bar));
	};
	const start = spans[0]?.record.started;
	let until = start;
	return h('div.trace', table(['Record', 'Start', 'Took', ''], spans.map(({ record, operations, from, to }) => {
		const pause = from - until;
		until = Math.max(until, to);
		return [
			pause > 1 && h('tr', h('td.dim', `${duration(pause)} later`)),
			line(record.id === own ? 'own' : '', [h('a', { href: address(record.id) }, named(record)), record.attempt > 1 && ` ×${record.attempt}`], record.tone, from, record.took, to),
			operations.map((one) =>
				line('dim', [`${one.operation} ${one.resource} `, h('span.bad', one.error)], one.error ? 'error' : 'part', from + one.start_ms, one.took_ms, from + one.start_ms + (one.took_ms ?? 0))),
		];
	})));
}
