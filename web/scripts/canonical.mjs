/**
 * The canonical JSON of a live document (schema version 1), written a second time and on its own, from Yjs: the server's rendering is
 * held to it. Only tests and `content-vectors.mjs` use it; pages show what the server renders.
 */
import * as Y from 'yjs';

const ATTRIBUTES = {
	paragraph: {},
	heading: { level: 2 },
	bullet_list: {},
	ordered_list: {},
	list_item: {},
	table: {},
	table_row: {},
	table_cell: { colspan: 1, rowspan: 1 },
	table_header: { colspan: 1, rowspan: 1 },
	hard_break: {}
};

export function canonical(doc) {
	const sections = {};
	for (const name of doc.share.keys()) {
		if (!name.startsWith('section:')) continue;
		const nodes = nodesOf(doc.getXmlFragment(name));
		if (nodes.length > 0) sections[name.slice('section:'.length)] = nodes;
	}
	const meta = doc.getMap('meta');
	const goals = itemsOf(doc.getMap('goals'), (id, goal) => ({
		id,
		...fragments(goal, ['title', 'body', 'success', 'responsible']),
		...strings(goal, { origin: 'local', rank: 'a0', due: '' }),
		actions: itemsOf(goal.get('actions'), (id, action) => ({
			id,
			...fragments(action, ['text', 'responsible']),
			...strings(action, { due: '', rank: 'a0' })
		})).sort(byRank),
		indicators: itemsOf(goal.get('indicators'), (id, indicator) => ({
			id,
			...fragments(indicator, ['name', 'source']),
			...strings(indicator, { unit: '', direction: '', frequency: '', baseline: '', target: '' })
		})).sort(byId),
		links: itemsOf(goal.get('links'), (id, link) => ({
			id,
			...strings(link, { target: '', relation: 'contributes_to' }),
			...fragments(link, ['reason'])
		})).sort(byId)
	})).sort(byRank);
	return spell({ schema: meta.get('schema') ?? 0, template: meta.get('template') ?? '', sections, goals });
}

function itemsOf(map, one) {
	return map instanceof Y.Map ? [...map.entries()].filter(([, item]) => item instanceof Y.Map).map(([id, item]) => one(id, item)) : [];
}

const fragments = (map, keys) => Object.fromEntries(keys.map((key) => [key, nodesOf(map.get(key))]));
const strings = (map, keys) => Object.fromEntries(Object.entries(keys).map(([key, otherwise]) => [key, map.get(key) ?? otherwise]));
const compare = (a, b) => (a === b ? 0 : a < b ? -1 : 1);
const byId = (a, b) => compare(a.id, b.id);
const byRank = (a, b) => compare(a.rank, b.rank) || byId(a, b);

function nodesOf(parent) {
	const nodes = [];
	for (const child of parent.toArray()) {
		if (child instanceof Y.XmlText) {
			for (const { insert, attributes } of child.toDelta()) push(nodes, insert, marksOf(attributes ?? {}));
		} else {
			const attrs = Object.entries(ATTRIBUTES[child.nodeName]).map(([name, otherwise]) => [name, child.getAttribute(name) ?? otherwise]);
			nodes.push({ type: child.nodeName, attrs: Object.fromEntries(attrs), content: nodesOf(child) });
		}
	}
	return nodes;
}

function push(nodes, text, marks) {
	const last = nodes.at(-1);
	if (last?.type === 'text' && spell(last.marks) === spell(marks)) last.text += text;
	else nodes.push({ type: 'text', text, marks });
}

function marksOf(formats) {
	const marks = ['strong', 'em'].filter((name) => formats[name] != null).map((type) => ({ type, attrs: {} }));
	return formats.link ? [...marks, { type: 'link', attrs: { href: formats.link.href } }] : marks;
}

/** RFC 8785: JavaScript's own spelling of strings and whole numbers, with names sorted by UTF-16 code units as `sort` does. */
function spell(value) {
	if (Array.isArray(value)) return `[${value.map(spell).join(',')}]`;
	if (value === null || typeof value !== 'object') return JSON.stringify(value);
	const members = Object.keys(value).sort();
	return `{${members.map((name) => `${JSON.stringify(name)}:${spell(value[name])}`).join(',')}}`;
}
