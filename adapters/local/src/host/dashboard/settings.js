// Secrets and configuration: where each value is, never the value.

import { get, on } from './api.js';
import { badge, empty, fill, h, table } from './dom.js';

export function settings(main) {
	const place = h('div.panels');
	main.append(place);
	const grid = (columns, list) => h('div.scroll', { tabindex: 0 }, table(columns, list.map((one) => h('tr', one.map((cell) => h('td.key', cell))))));
	const from = (one) => one.from ?? (one.optional ? 'not set, optional' : badge('missing', 'error'));
	const refresh = async () => {
		const { settings: list, places } = await get(['settings']).catch(() => ({}));
		if (!list) return;
		place.replaceChildren();
		fill(place, list.length
			? [grid(['Name', 'Value is in', 'Set it with'], list.map((one) => [[one.name, h('p.dim', one.kind)], from(one), one.how])), h('p.dim', 'Values are never shown here.')]
			: empty('The app uses no secret and no configuration yet. Open them where the app is built:', 'let token = cloud.secret("api-token");', 'let settings = cloud.config::<Settings>("settings");'),
		places.length > 0 && [h('h2', 'Resources at other places'), grid(['Kind', 'Name', 'Place'], places.map((one) => [one.kind, one.name, one.url]))]);
	};
	on('settings', refresh);
	refresh();
}
