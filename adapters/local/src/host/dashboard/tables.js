// Tables: items by key, and an editor of one.

import { call, get, on, resources, state, triggers } from './api.js';
import { action, ask, body, count, dim, empty, field, go, h, json, jsonError, link, size, throttle, time } from './dom.js';
import { choose, onChange, pages, split } from './parts.js';

export function tables(main, to) {
	const name = to.path[1];
	let { query } = to;
	let open = null;
	let said = '';
	choose(main, 'tables', name, () => resources('table').map((one) => ({ id: one.name, note: count(one.count) })),
		'table', 'let links = cloud.table::<Link>("links");', 'links.put("id", &link).await?;');
	if (!name) return {};

	const path = ['tables', name, 'item'];
	const at = (item) => link(['tables', name], { partition: query.partition, prefix: query.prefix, ...item });
	const close = () => go(at());
	const browse = throttle(() => {
		query = { ...query, partition: partition.value, prefix: prefix.value };
		prefix.disabled = !partition.value;
		history.replaceState(null, '', at({ p: query.p, s: query.s }));
		list.reset();
	}, 200);
	const partition = h('input', { type: 'search', placeholder: 'all  /', oninput: browse });
	const prefix = h('input', { placeholder: 'all', oninput: browse });
	const row = ({ partition: p, sort, type, preview, size: bytes, expires_at: expires, isOpen }) => h('tr', { 'aria-selected': isOpen && 'true' },
		h('td.key', h('a.cover', { href: at({ p, s: sort }) }, p)), h('td.key', sort),
		h('td.cut', type === 'binary' && dim('bytes '), preview), h('td.number', size(bytes)), h('td.wide', expires && time(expires)));
	const list = pages(['Partition', 'Sort key', 'Value|cut', 'Size|number', 'Expires|wide'], (one) => JSON.stringify([one.partition, one.sort]), row, async (after) => {
		const { items, next } = await get(['tables', name], { partition: query.partition, prefix: query.partition && query.prefix, limit: 100, after, brief: 1 });
		const rows = items.map((one) => ({ ...one, isOpen: one.partition === query.p && one.sort === (query.s ?? '') }));
		const stored = rows.find((one) => one.isOpen);
		if (open?.version && stored && stored.version !== open.version) open.isDirty() ? open.warn() : load();
		return { rows, next };
	}, empty('No item is here. The app writes one:', `${name.replaceAll('-', '_')}.put("key", &value).await?;`));
	const show = split(main, 'Details', close,
		h('div.fields', field('Partition', partition), field('Prefix of the sort key', prefix), h('a.button', { href: at({ new: 1 }) }, 'New item')), list.node);

	async function load() {
		if (!state.info) return;
		const key = { partition: query.p, sort: query.s };
		open = null;
		if (query.new) edit();
		else if (!query.p) show();
		else await get(path, key).then(edit, (error) => show(query.p, h('p.reason.warn', error.message)));
	}

	function edit(item) {
		const isBytes = item?.hex !== undefined;
		const shown = item && !isBytes ? json(item.text) ?? item.text.replace(/\r\n?/g, '\n') : '';
		const [first, second] = [h('input', { value: query.partition ?? '' }), h('input')];
		const key = () => (item ? { partition: item.partition, sort: item.sort } : { partition: first.value, sort: second.value });
		const address = () => at({ p: key().partition, s: key().sort });
		const text = h('textarea', { value: shown, spellcheck: 'false', rows: Math.min(28, Math.max(8, shown.split('\n').length)), oninput: throttle(check, 300) });
		const expires = item?.expires_at && new Date(item.expires_at);
		const until = expires ? new Date(expires - expires.getTimezoneOffset() * 60_000).toISOString().slice(0, 19) : '';
		const expiry = h('input', { type: 'datetime-local', step: 1, value: until });
		const note = h('p.dim', { role: 'status' }, said);
		said = '';
		const conflict = h('div', { role: 'alert' });
		let isSaved = false;
		function check() {
			const wrong = text.value && jsonError(text.value);
			note.textContent = !wrong ? '' : item?.type === 'json' ? `This is not JSON any more: ${wrong}` : 'This is text, not JSON.';
		}
		/** JSON is stored as compact as it was, and other text with its own line ends. */
		function content() {
			if (item && text.value === shown) return item.text;
			if (!item || item.text === json(item.text, false)) return json(text.value, false) ?? text.value;
			return item.text.includes('\r\n') ? text.value.replaceAll('\n', '\r\n') : text.value;
		}
		async function done(hash, text = '') {
			isSaved = true;
			said = text;
			list.refresh();
			if (location.hash === hash) await load();
			else go(hash);
		}
		/** Writes or deletes. Where another value is stored now, it shows that. */
		async function change(method, parameters, hash, value) {
			try {
				await call(method, path, { ...key(), ...parameters }, value);
			} catch (error) {
				if (error.status === 409) await compare();
				throw error;
			}
			await done(hash, method === 'PUT' ? 'Saved.' : '');
		}
		const put = (condition) => {
			const date = expiry.value === until ? item?.expires_at : expiry.value && new Date(expiry.value).toISOString();
			return change('PUT', { expires_at: date, ...condition }, address(), content());
		};
		async function compare() {
			const stored = await get(path, key()).catch(() => null);
			conflict.replaceChildren(h('div.panel', stored
				? [h('h3', 'Another value is stored now'), body(stored), action('Load the newer one', () => done(address())), !isBytes && action('Overwrite with mine', () => put({ version: stored.version }), 'danger')]
				: [h('h3', 'The item is deleted'), action('Create it again with mine', () => put({ create: 1 }))]));
		}
		const version = { version: item?.version };
		const remove = async () => (await ask(`Delete the item ${[item.partition, item.sort].filter(Boolean).join(' ')}?`)) && change('DELETE', version, at());
		open = {
			...version, isDirty: () => !isSaved && !isBytes && (text.value !== shown || expiry.value !== until),
			warn: () => { note.textContent = 'The app has written another value meanwhile.'; },
		};
		show(item?.partition ?? 'New item',
			item ? h('p.facts', item.sort && h('span.key', `sort key ${item.sort}`), h('span', size(item.size)), h('span', item.type), h('span.key', `version ${item.version}`))
				: h('div.fields', field('Partition', first), field('Sort key', second, 'may be empty')),
			isBytes ? [h('p.dim', 'The value is not text. It cannot be edited here.'), body(item)] : [field('Value', text), note, field('Expires', expiry, 'local time; empty is never')],
			h('p.buttons', !isBytes && action(item ? 'Save' : 'Create', () => put(item ? version : { create: 1 }), 'primary'),
				item && triggers('write').some((one) => one.table === name) && action('Call the handler of writes', async () => (await call('POST', ['tables', name], key())) && 'Finished.'),
				item && action('Delete', remove, 'danger')),
			conflict);
		if (!item) (first.value ? second : first).focus();
	}

	function update(next) {
		if (next.path[1] !== name) return false;
		({ query } = next);
		partition.value = query.partition ?? '';
		prefix.value = query.prefix ?? '';
		prefix.disabled = !partition.value;
		load();
		if (next.query.p) list.refresh();
		else list.reset();
		return true;
	}
	update(to);
	on('info', () => open || load());
	onChange(list.refresh);
	return { update, isDirty: () => open?.isDirty() };
}
