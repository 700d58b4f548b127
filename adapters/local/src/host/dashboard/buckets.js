// Buckets: objects by folder, and one of them with a preview.

import { call, get, resources, send, url } from './api.js';
import { action, ask, body, count, dim, empty, field, go, h, link, pairs, plural, size, throttle, time } from './dom.js';
import { choose, onChange, pages, split } from './parts.js';

const PREVIEW = 65_536;

export function buckets(main, to) {
	const name = to.path[1];
	let { query } = to;
	choose(main, 'buckets', name, () => resources('bucket').map((one) => ({ id: one.name, note: count(one.count) })),
		'bucket', 'let pages = cloud.bucket("pages");', 'pages.put("index.html", "<h1>Hello</h1>").await?;');
	if (!name) return {};

	const path = ['buckets', name, 'object'];
	const prefix = () => query.prefix ?? '';
	const at = (parameters) => link(['buckets', name], { prefix: prefix(), ...parameters });
	const close = () => go(at());
	const trail = h('nav', { 'aria-label': 'Folders' });
	const input = h('input', { type: 'search', placeholder: 'all  /', oninput: throttle(() => location.replace(at({ prefix: input.value })), 200) });
	const files = h('input', { type: 'file', multiple: true, onchange: () => upload([...files.files]) });
	const outcome = h('output');
	const row = ({ key, size: bytes, modified, isOpen }) => h('tr', { 'aria-selected': isOpen && 'true' },
		h('td.key', h('a.cover', { href: at(modified ? { key } : { prefix: key }) }, key.slice(prefix().lastIndexOf('/') + 1) || key)),
		h('td.number', modified ? size(bytes) : dim('folder')), h('td', modified && time(modified)));
	const list = pages(['Name', 'Size|number', 'Modified'], (one) => JSON.stringify([one.key, one.modified]), row, async (after) => {
		const { objects, prefixes = [], next } = await get(['buckets', name], { prefix: prefix(), delimiter: '/', limit: 100, after });
		return { rows: [...prefixes.map((key) => ({ key })), ...objects].map((one) => ({ ...one, below: prefix(), isOpen: one.key === query.key })), next };
	}, empty('No object is here. Choose files above, or drop them on this page.'));
	const place = h('div.place');
	main.append(place);
	const show = split(place, 'Details', close, h('div.fields', field('Prefix', input), field('Upload', files, 'into this folder')), trail, outcome, list.node);
	place.ondragover = (event) => event.preventDefault();
	place.ondrop = (event) => {
		event.preventDefault();
		upload([...event.dataTransfer.files]);
	};

	async function upload(chosen) {
		outcome.className = '';
		try {
			for (const [index, file] of chosen.entries()) {
				outcome.textContent = `Uploading ${index + 1} of ${chosen.length}: ${file.name}`;
				await call('PUT', ['buckets', name], { key: prefix() + file.name, content_type: file.type }, file);
			}
			outcome.textContent = `${plural(chosen.length, 'object')} uploaded.`;
		} catch (error) {
			[outcome.className, outcome.textContent] = ['bad', error.message];
		}
		files.value = '';
		list.refresh();
	}

	async function load() {
		const { key } = query;
		if (!key) return show();
		const remove = async () => {
			if (!(await ask(`Delete the object ${key}?`))) return;
			await call('DELETE', path, { key });
			close();
		};
		try {
			const { size: bytes, content_type: type, modified, version, metadata = {} } = await get(['buckets', name, 'about'], { key });
			const shown = /^image\//.test(type) ? h('img', { src: url(path, { key }), alt: `Preview of ${key}` }) : await preview(key, bytes, type);
			if (key !== query.key) return;
			show(key, pairs(Object.entries({ size: size(bytes), 'content type': type ?? 'none', modified, version, ...metadata })),
				h('p.buttons', h('a.button', { href: url(path, { key, download: 1 }), download: true }, 'Download'), action('Delete', remove, 'danger')), shown);
		} catch (error) {
			show(key, h('p.reason.warn', error.message));
		}
	}

	async function preview(key, bytes, type) {
		if (!bytes) return body();
		const response = await send('GET', path, { key }, { headers: { range: `bytes=0-${PREVIEW - 1}` } });
		const part = new Uint8Array(await response.arrayBuffer()).subarray(0, PREVIEW);
		const value = { size: bytes, cut: bytes > part.length };
		try {
			// A character can be cut at the end of the part.
			value.text = new TextDecoder('utf-8', { fatal: true }).decode(part, { stream: true });
		} catch {
			value.hex = Array.from(part, (byte) => byte.toString(16).padStart(2, '0')).join('');
		}
		const frame = h('div');
		const sandbox = () => frame.replaceChildren(h('iframe', { sandbox: true, src: url(path, { key }), title: `${key} in a sandbox` }));
		return [/html/.test(type) && action('Show in a sandbox', sandbox), frame, body(value)];
	}

	function update(next) {
		if (next.path[1] !== name) return false;
		const old = query;
		({ query } = next);
		if (document.activeElement !== input) input.value = prefix();
		const folders = prefix().split('/').slice(0, -1);
		trail.hidden = !folders.length;
		trail.replaceChildren(h('a', { href: at({ prefix: '' }) }, name), ...folders.flatMap((folder, index) =>
			[' / ', h('a', { href: at({ prefix: `${folders.slice(0, index + 1).join('/')}/` }) }, folder || '(empty)')]));
		if (next === to || old.key !== query.key) load();
		if (old.prefix === query.prefix) list.refresh();
		else list.reset();
		return true;
	}
	update(to);
	onChange(list.refresh);
	return { update };
}
