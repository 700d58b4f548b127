// Elements, formats, and small parts of pages. Text of the app is always a text node.

/** Adds attributes, which are a plain object, and children. */
export function fill(node, ...parts) {
	if (parts[0]?.constructor === Object) {
		for (const [name, value] of Object.entries(parts.shift())) {
			if (/^on|^value$|^checked$/.test(name)) node[name] = value;
			else if (value || value === 0) node.setAttribute(name, value === true ? '' : value);
		}
	}
	node.append(...parts.flat(Infinity).filter((part) => part || part === 0));
	return node;
}

/** An HTML element. `tag` can have classes: `p.dim`. */
export function h(tag, ...parts) {
	const [name, ...classes] = tag.split('.');
	const node = document.createElement(name);
	node.className = classes.join(' ');
	return fill(node, ...parts);
}
export const s = (tag, ...parts) => fill(document.createElementNS('http://www.w3.org/2000/svg', tag), ...parts);
export const dim = (...parts) => h('span.dim', ...parts);

/** Makes the children of `parent` those of `items`. Elements of unchanged items stay, with focus and state. */
export function keyed(parent, items, keyOf, make) {
	const next = new Map();
	let at = parent.firstChild;
	for (const item of items) {
		const [key, text] = [String(keyOf(item)), JSON.stringify(item)];
		const old = parent.known?.get(key);
		const entry = old?.text === text ? old : { text, node: make(item) };
		if (old && old !== entry) {
			const hadFocus = old.node.contains(document.activeElement);
			if (at === old.node) at = entry.node;
			old.node.replaceWith(entry.node);
			if (hadFocus) (entry.node.querySelector('a, button') ?? entry.node).focus();
		}
		next.set(key, entry);
		if (entry.node === at) at = at.nextSibling;
		else parent.insertBefore(entry.node, at);
	}
	while (at) [at] = [at.nextSibling, at.remove()];
	parent.known = next;
}

export function search(parameters) {
	const text = String(new URLSearchParams(Object.entries(parameters).filter(([, value]) => value || value === 0)));
	return text && `?${text}`;
}
export const link = (path, parameters = {}) => `#/${path.map(encodeURIComponent).join('/')}${search(parameters)}`;
export const go = (address) => { location.hash = address; };

export const count = (number) => number.toLocaleString('en');
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

export function size(bytes) {
	const power = bytes < 1000 ? 0 : bytes < 1e6 ? 1 : 2;
	return `${Number((bytes / 1000 ** power).toPrecision(3))} ${['B', 'kB', 'MB'][power]}`;
}

export function duration(ms) {
	if (ms === null) return '';
	if (ms < 1000) return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
	return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min ${Math.floor(ms / 1000) % 60} s`;
}

const CLOCK = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23' });
const DAY = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
export const clock = (ms) => CLOCK.format(ms);

export function time(value) {
	if (!value) return 'never';
	const date = new Date(value);
	const text = date.toDateString() === new Date().toDateString() ? clock(date).slice(0, 8) : DAY.format(date);
	return h('time', { datetime: date.toISOString(), title: String(date) }, text);
}

const RELATIVE = new Intl.RelativeTimeFormat('en');
const UNITS = [['day', 86_400], ['hour', 3600], ['minute', 60], ['second', 1]];

export function distance(value) {
	const seconds = (new Date(value) - Date.now()) / 1000;
	const [unit, length] = UNITS.find(([, least]) => Math.abs(seconds) >= least) ?? UNITS[3];
	return RELATIVE.format(Math.trunc(seconds / length), unit);
}

export function jsonError(text) {
	try {
		JSON.parse(text);
		return null;
	} catch (error) {
		return error.message;
	}
}

/** JSON with other whitespace, or `null`. It copies each token, so numbers keep their digits. */
export function json(text, indent = true) {
	if (jsonError(text)) return null;
	const tokens = text.match(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/g);
	if (!indent) return tokens.join('');
	let [out, depth, opened, before] = ['', 0, false, ''];
	for (const token of tokens) {
		const closes = token === '}' || token === ']';
		if (closes) depth -= 1;
		if (closes ? !opened : opened || before === ',') out += `\n${'  '.repeat(depth)}`;
		out += token === ':' ? ': ' : token;
		opened = token === '{' || token === '[';
		if (opened) depth += 1;
		before = token;
	}
	return out;
}

const MOST_DIGITS = 32_768;

const hexLines = (hex) => hex.slice(0, MOST_DIGITS).replace(/.{1,32}/g, (line, at) => {
	const ascii = line.replace(/../g, (pair) => (/^[2-6]|^7[^f]/.test(pair) ? String.fromCharCode(parseInt(pair, 16)) : '.'));
	return `${(at / 2).toString(16).padStart(6, '0')}  ${line.replace(/../g, '$& ').padEnd(48)} ${ascii}\n`;
});

export const pre = (text, label = 'Body') => h('pre', { tabindex: 0, 'aria-label': label }, text);

export function body(value) {
	if (!value?.size) return h('p.dim', 'Empty.');
	const isCut = value.cut || value.hex?.length > MOST_DIGITS;
	return [pre(value.hex ? hexLines(value.hex) : json(value.text) ?? value.text), isCut && h('p.dim', `Not all of ${size(value.size)} is here.`)];
}

export const badge = (text, tone) => h(`span.badge.${tone}`, text);
export const button = (label, onclick, classes = '') => h('button', { onclick, class: classes }, label);

/** A button with the text that `run` returns, or its error, next to it. */
export function action(label, run, classes) {
	const out = h('output');
	const node = button(label, async () => {
		if (node.ariaDisabled) return;
		node.ariaDisabled = true;
		[out.className, out.textContent] = ['', ''];
		try {
			out.textContent = (await run()) ?? '';
		} catch (error) {
			[out.className, out.textContent] = ['bad', error.message];
		}
		node.ariaDisabled = null;
	}, classes);
	return h('span.action', node, out);
}

export const field = (label, input, hint) => h('label.field', h('span', label, hint && h('small', ` ${hint}`)), input);

export const empty = (text, ...code) => h('div.empty', h('p', text), code.length > 0 && h('pre', code.join('\n')));

/** A table. A column is `name` or `name|class`. */
export const table = (columns, ...rows) =>
	h('table', h('thead', h('tr', columns.map((column) => column.split('|')).map(([name, kind]) => h(name ? 'th' : 'td', { class: kind }, name)))), h('tbody', rows));

export const pairs = (list) =>
	h('table.pairs', list.map(([name, value]) => h('tr', h('th', name), h('td', value?.constructor === String ? value : JSON.stringify(value)))));

export function ask(question, label = 'Delete') {
	const dialog = document.querySelector('dialog');
	dialog.replaceChildren(h('p', { id: 'question' }, question), h('p.buttons', button('Cancel', () => dialog.close()), button(label, () => dialog.close('yes'), 'danger')));
	dialog.returnValue = '';
	dialog.showModal();
	return new Promise((resolve) => { dialog.onclose = () => resolve(dialog.returnValue === 'yes'); });
}

/** Calls `run` now, and not again within `ms`: calls meanwhile are one call after it. */
export function throttle(run, ms) {
	let [timer, again] = [null, false];
	return function call() {
		again = Boolean(timer);
		if (again) return;
		timer = setTimeout(() => {
			timer = null;
			if (again) call();
		}, ms);
		run();
	};
}
