// Routes, the navigation, and the state of the connection.

import { follow, on, resources, state } from './api.js';
import { ask, count, h } from './dom.js';
import { overview } from './overview.js';
import { requests } from './requests.js';
import { tables } from './tables.js';
import { buckets } from './buckets.js';
import { topics } from './topics.js';
import { functions, schedules } from './triggers.js';
import { settings } from './settings.js';

const PAGES = { '': overview, requests, tables, buckets, topics, schedules, functions, settings };
const at = (id) => document.getElementById(id);
const main = at('main');
const linkTo = (name) => document.querySelector(`header a[href="#/${name}"]`);
/** The page in view. Its `update(route)` returns whether it shows that route. */
let page = null;
let hash = null;

function route() {
	const [path, query] = location.hash.replace(/^#\/?/, '').split(/\?(.*)/s);
	const decode = (part) => {
		try {
			return decodeURIComponent(part);
		} catch {
			return part;
		}
	};
	return { path: path.split('/').map(decode), query: Object.fromEntries(new URLSearchParams(query)) };
}

async function show() {
	const next = location.hash;
	if (next === hash) return;
	if (page?.isDirty?.()) {
		history.replaceState(null, '', hash);
		if (!(await ask('The value has changes that are not saved.', 'Discard the changes'))) return;
		history.replaceState(null, '', next);
	}
	hash = next;
	const to = route();
	const name = Object.hasOwn(PAGES, to.path[0]) ? to.path[0] : '';
	if (page?.name === name && page.update?.(to)) return;
	page?.controller.abort();
	const controller = new AbortController();
	state.signal = controller.signal;
	const link = linkTo(name);
	document.querySelector('header [aria-current]')?.removeAttribute('aria-current');
	link.ariaCurrent = 'page';
	toLink();
	const heading = h('h1.hidden', link.firstChild.textContent);
	main.replaceChildren(heading);
	page = { name, controller };
	Object.assign(page, PAGES[name](main, to));
	title();
}

const toLink = () => document.querySelector('header [aria-current]').scrollIntoView({ block: 'nearest', inline: 'center' });
const title = () => { document.title = `${main.firstChild.textContent} · ${state.info?.app ?? 'isobar'}`; };

/** A number after a link of the navigation, in red with a word. */
function mark(name, list, key, word) {
	const number = list.reduce((sum, one) => sum + one[key], 0);
	const link = linkTo(name);
	link.querySelector('.note')?.remove();
	if (number) link.append(h(`span.note.${word ? 'bad' : ''}`, count(number), word && h('span.hidden', ` ${word}`)));
}

on('info counts settings', () => {
	mark('tables', resources('table'), 'count');
	mark('buckets', resources('bucket'), 'count');
	mark('topics', state.counts.queues, 'dead', 'dead letters');
	mark('settings', state.settings.map((one) => ({ missing: !one.from && !one.optional })), 'missing', 'missing');
});
on('info', () => {
	at('app').textContent = state.info.app;
	title();
	toLink();
});

let late;
let known = '';
on('online', (online) => {
	// The browser reports each try to connect again.
	if (online === known) return;
	known = online;
	clearTimeout(late);
	const isOn = online === 'yes';
	// A restart is often shorter than this: no banner then.
	late = setTimeout(() => {
		at('banner').hidden = isOn;
		at('banner').textContent = online === 'other'
			? 'The app has started with another token. Open the address of the dashboard that it printed.'
			: 'The app does not answer. Waiting for it…';
		at('connection').textContent = isOn ? 'Live' : 'Waiting';
		at('connection').className = online;
	}, isOn ? 0 : 700);
});

at('skip').onclick = (event) => {
	event.preventDefault();
	main.focus();
};
document.onkeydown = (event) => {
	const filter = main.querySelector('[type=search]');
	if (event.key !== '/' || event.ctrlKey || event.metaKey || !filter || event.target.matches('input, textarea')) return;
	event.preventDefault();
	filter.select();
};
onhashchange = show;
onbeforeunload = (event) => { if (page.isDirty?.()) event.preventDefault(); };
show();
follow();
