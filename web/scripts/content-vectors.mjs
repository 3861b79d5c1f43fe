/**
 * Makes `client-protocol/vectors/content-yjs.json`: documents written with Yjs and y-prosemirror, as an editor writes them, and the
 * canonical JSON of their content. The server's tests read both: node web/scripts/content-vectors.mjs
 */
import { writeFileSync } from 'node:fs';
import { Schema } from 'prosemirror-model';
import { prosemirrorToYXmlFragment } from 'y-prosemirror';
import * as Y from 'yjs';
import { canonical } from './canonical.mjs';

const block = { group: 'block' };
const cell = { content: 'block+', attrs: { colspan: { default: 1 }, rowspan: { default: 1 }, colwidth: { default: null } } };
const schema = new Schema({
	nodes: {
		doc: { content: 'block+' },
		paragraph: { ...block, content: 'inline*' },
		heading: { ...block, content: 'inline*', attrs: { level: { default: 2 } } },
		bullet_list: { ...block, content: 'list_item+' },
		ordered_list: { ...block, content: 'list_item+' },
		list_item: { content: 'block+' },
		table: { ...block, content: 'table_row+' },
		table_row: { content: '(table_cell | table_header)+' },
		table_cell: cell,
		table_header: cell,
		text: { group: 'inline' },
		hard_break: { group: 'inline', inline: true }
	},
	marks: { link: { attrs: { href: {} } }, em: {}, strong: {} }
});

const STRONG = { type: 'strong' };
const EM = { type: 'em' };
const text = (words, ...marks) => ({ type: 'text', text: words, marks });
const p = (...content) => ({ type: 'paragraph', content });
const node = (type, ...content) => ({ type, content });

function write(fragment, ...blocks) {
	prosemirrorToYXmlFragment(schema.nodeFromJSON({ type: 'doc', content: blocks }), fragment);
	return fragment;
}

/** What is written once the fragment is in its document. */
const line = (words) => (fragment) => write(fragment, words ? p(text(words)) : p());
const criteria = (...texts) => (fragment) => write(fragment, node('bullet_list', ...texts.map((words) => node('list_item', words ? p(text(words)) : p()))));

function put(map, key, value) {
	if (typeof value !== 'function') return map.set(key, value);
	const fragment = new Y.XmlFragment();
	map.set(key, fragment);
	return value(fragment);
}

function putMap(parent, id, values) {
	const map = new Y.Map();
	parent.set(id, map);
	for (const [key, value] of Object.entries(values)) put(map, key, value);
	return map;
}

function base(client) {
	const doc = new Y.Doc();
	doc.clientID = client;
	doc.getMap('meta').set('schema', 1);
	doc.getMap('meta').set('template', '0d9f2f3a-0000-5000-8000-000000000001');
	return doc;
}

function rich() {
	const doc = base(11);
	write(
		doc.getXmlFragment('section:rammer'),
		{ type: 'heading', attrs: { level: 3 }, content: [text('Økonomi 🌊')] },
		p(text('Rammen er '), text('41,2 mio. kr.', STRONG), text(' og '), text('begge dele', STRONG, EM), text('.')),
		p(),
		p(text('før'), { type: 'hard_break' }, text('efter '), text('loven', { type: 'link', attrs: { href: 'https://retsinformation.example/æ?a=1&b="2"' } })),
		node('bullet_list', node('list_item', p(text('én')), node('ordered_list', node('list_item', p(text('to')))))),
		node('table', node('table_row', { type: 'table_header', attrs: { colspan: 2 }, content: [p(text('År'))] }), node('table_row', node('table_cell', p(text('2027'))), node('table_cell', p())))
	);
	return doc;
}

function goals() {
	const doc = base(12);
	write(doc.getXmlFragment('section:kerneopgave'), p(text('Kerneopgaven\t"\\ \u0007 \u{1F469}\u200D\u{1F3EB}')));
	const goal = (id, rank, title) => {
		const success = criteria('Højst 5,8 procent.', '');
		const values = { title: line(title), body: line(''), success, responsible: line('Skolelederen'), origin: 'political', rank };
		const map = putMap(doc.getMap('goals'), id, values);
		for (const key of ['actions', 'indicators', 'links']) map.set(key, new Y.Map());
		return map;
	};
	goal('00000000-0000-4000-8000-00000000000b', 'a1', 'Læselyst');
	const first = goal('00000000-0000-4000-8000-00000000000c', 'Zz', 'Flere dage i skole');
	goal('00000000-0000-4000-8000-00000000000a', 'a1', 'Åben skole');
	first.set('due', '2027-02-01');
	putMap(first.get('actions'), 'b', { text: line('Ring hjem'), responsible: line(''), rank: 'a0', due: '2027-03-01' });
	putMap(first.get('actions'), 'a', { text: line('Fraværsteam'), responsible: line('Lærerne'), rank: 'a0' });
	putMap(first.get('indicators'), 'i', { name: line('Fravær'), source: line(''), unit: 'procent', direction: 'down', frequency: 'monthly', baseline: '6.9', target: '5.8' });
	putMap(first.get('links'), 'l', { target: '00000000-0000-4000-8000-000000000001', relation: 'implements', reason: line('Fordi') });
	return doc;
}

/** Two people at once, a bold that was taken back, words that were deleted. */
function edited() {
	const one = base(13);
	write(one.getXmlFragment('section:vaerdier'), p(text('Udsyn og engagement hver dag')));
	const other = new Y.Doc();
	other.clientID = 14;
	Y.applyUpdate(other, Y.encodeStateAsUpdate(one));
	const words = (doc) => doc.getXmlFragment('section:vaerdier').get(0).get(0);
	words(one).format(0, 5, { strong: {} });
	words(one).format(0, 5, { strong: null });
	words(one).format(9, 10, { em: {} });
	words(other).delete(20, 8);
	words(other).insert(5, ' 🙂 æøå');
	Y.applyUpdate(one, Y.encodeStateAsUpdate(other));
	return one;
}

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const cases = Object.entries({ rich, goals, edited }).map(([name, make]) => {
	const doc = make();
	return { name, update_hex: hex(Y.encodeStateAsUpdate(doc)), content: canonical(doc) };
});
const file = new URL('../../client-protocol/vectors/content-yjs.json', import.meta.url);
writeFileSync(file, `${JSON.stringify({ made_by: 'web/scripts/content-vectors.mjs: yjs 13.6, y-prosemirror 1.3', cases }, null, '\t')}\n`);
