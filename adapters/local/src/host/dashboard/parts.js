// What the pages of resources have in common.

import { on, state } from './api.js';
import { button, dim, empty, fill, h, keyed, link, table, throttle } from './dom.js';

/** Links to the resources of a page, or the code that adds one. */
export function choose(main, page, current, items, noun, ...code) {
	const bar = h('nav.tabs', { 'aria-label': 'Resources' });
	const none = empty(`The app has no ${noun} yet. Add one where the app is built:`, ...code);
	main.append(bar, none);
	const href = (one) => link([page, ...one.id.split('/')]);
	const draw = () => {
		const list = items();
		bar.hidden = !list.length;
		none.hidden = !state.info || !bar.hidden;
		keyed(bar, list, (one) => one.id, (one) =>
			h('a', { href: href(one), 'aria-current': one.id === current && 'page' }, one.text ?? one.id, one.note && h(`span.note.${one.bad ? 'bad' : ''}`, one.note)));
		if (!current && list.length) location.replace(href(list[0]));
	};
	on('info counts', draw);
	draw();
}

/** Calls `run` now, and when stored data can have changed. */
export function onChange(run) {
	const { signal } = state;
	const soon = throttle(() => signal.aborted || run(), 1000);
	on('info counts', soon);
	on('records', (records) => records.some((one) => one.took !== null) && soon());
	run();
}

/** A list, and next to it what is open: `show(title, …children)`, or nothing. */
export function split(main, label, close, ...list) {
	const pane = h('section.detail', { 'aria-label': label, hidden: true, onkeydown: (event) => { if (event.key === 'Escape') close(); } });
	const node = h('div.split', h('div.list', list), pane);
	main.append(node);
	return (title, ...children) => {
		const isSame = title && title === pane.querySelector('h2')?.textContent;
		const [scroll, hadFocus] = [isSame ? pane.scrollTop : 0, pane.contains(document.activeElement)];
		pane.hidden = !title;
		node.classList.toggle('open', Boolean(title));
		const heading = h('h2', { tabindex: -1 }, title);
		pane.replaceChildren();
		fill(pane, h('div.title', heading, h('button.close', { 'aria-label': 'Close', onclick: close }, '×')), children);
		pane.scrollTop = scroll;
		const isAlone = !node.firstChild.offsetParent;
		if (title && (hadFocus || (isAlone && !isSame))) heading.focus({ preventScroll: true });
		if (!title && hadFocus) node.querySelector('[tabindex], a').focus();
	};
}

/** A table in pages. `load(after)` returns `{rows, next}`. */
export function pages(columns, keyOf, row, load, none) {
	let [before, after, next, turn] = [[], null, null, 0];
	const info = dim({ role: 'status' });
	const error = h('p.bad', { role: 'alert' });
	const box = h('div.scroll', table(columns));
	const move = (to) => () => {
		to();
		box.scrollTop = 0;
		refresh();
	};
	const back = button('Previous page', move(() => { after = before.pop(); }));
	const forth = button('Next page', move(() => { before.push(after); after = next; }));
	async function refresh() {
		const mine = turn += 1;
		try {
			const page = await load(after);
			if (mine !== turn) return;
			next = page.next;
			keyed(box.querySelector('tbody'), page.rows, keyOf, row);
			error.textContent = '';
			show(page.rows.length);
		} catch (failure) {
			// The banner says it where the app does not answer.
			if (failure.status) error.textContent = failure.message;
		}
	}
	function show(length) {
		box.hidden = !length;
		none.hidden = length !== 0;
		back.hidden = !before.length;
		forth.hidden = !next;
		info.textContent = before.length || next ? `Page ${before.length + 1}` : '';
	}
	show();
	const reset = () => {
		[before, after] = [[], null];
		refresh();
	};
	return { node: [error, box, none, h('p.buttons', back, info, forth)], refresh, reset };
}
