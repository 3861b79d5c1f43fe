/**
 * Where words stand in a live document, schema version 1: every fragment people type in, with the name of its place.
 *
 * Shapes that this client makes, and that an import makes alike. Nodes are Y.XmlElement with ProseMirror's names, text is one Y.XmlText
 * for each run between nodes, an empty paragraph has no children:
 *
 * - a section, and a goal's `body`: one empty `paragraph`
 * - `title`, `responsible`, an action's `text` and `responsible`, an indicator's `name` and `source`, a link's `reason`: one `paragraph`
 * - `success`: `bullet_list` > `list_item` > `paragraph`, one item for each criterion
 * - attributes are numbers: `heading` has `level` 2–4, `table_cell` and `table_header` have `colspan` and `rowspan`; nothing else has any
 * - marks are formats of Y.XmlText: `strong: {}`, `em: {}`, `link: {href}`
 */
import * as Y from 'yjs';
import type { Words } from './local-copy';

export const SCHEMA_VERSION = 1;
const SECTION = 'section:';

export interface Place {
	/** `kerneopgave`, `goal:<id>:title`, `goal:<id>:action:<id>:text` … */
	readonly place: string;
	readonly fragment: Y.XmlFragment;
}

/** Every fragment of the document, in no particular order. */
export function places(doc: Y.Doc): Place[] {
	return [...sectionPlaces(doc), ...goalPlaces(doc)];
}

function sectionPlaces(doc: Y.Doc): Place[] {
	const names = [...doc.share.keys()].filter((name) => name.startsWith(SECTION));
	return names.map((name) => ({ place: name.slice(SECTION.length), fragment: doc.getXmlFragment(name) }));
}

function goalPlaces(doc: Y.Doc): Place[] {
	const found: Place[] = [];
	doc.getMap('goals').forEach((goal, id) => visit(goal, `goal:${id}`, found));
	return found;
}

const ITEM_OF: Record<string, string> = { actions: 'action', indicators: 'indicator', links: 'link' };

function visit(value: unknown, place: string, found: Place[]): void {
	if (value instanceof Y.XmlFragment) found.push({ place, fragment: value });
	else if (value instanceof Y.Map) value.forEach((inner, key) => visit(inner, `${place}:${ITEM_OF[key] ?? key}`, found));
}

export function paragraph(text = ''): Y.XmlElement {
	const element = new Y.XmlElement('paragraph');
	if (text) element.insert(0, [new Y.XmlText(text)]);
	return element;
}

/** A fragment of one empty paragraph. */
export function line(): Y.XmlFragment {
	const fragment = new Y.XmlFragment();
	fragment.insert(0, [paragraph()]);
	return fragment;
}

/** A fragment of one list with one empty item. */
export function list(): Y.XmlFragment {
	const fragment = new Y.XmlFragment();
	const item = new Y.XmlElement('list_item');
	item.insert(0, [paragraph()]);
	const bullets = new Y.XmlElement('bullet_list');
	bullets.insert(0, [item]);
	fragment.insert(0, [bullets]);
	return fragment;
}

/** The words alone; what stands in one block is one line. */
export function textOf(fragment: Y.XmlFragment | undefined): string {
	if (!fragment) return '';
	const lines: string[] = [];
	forEachBlock(fragment, (texts) => lines.push(texts.map(plain).join('')));
	return lines.join('\n').trim();
}

function plain(text: Y.XmlText): string {
	return (text.toDelta() as { insert: unknown }[]).map(({ insert }) => (typeof insert === 'string' ? insert : '')).join('');
}

/** Each element that directly holds text, in reading order. */
function forEachBlock(parent: Y.XmlFragment, act: (texts: Y.XmlText[]) => void): void {
	const children = parent.toArray();
	const texts = children.filter((child): child is Y.XmlText => child instanceof Y.XmlText);
	if (texts.length > 0) act(texts);
	for (const child of children) if (child instanceof Y.XmlElement) forEachBlock(child, act);
}

/** Is the block that begins at this client and clock, or any part of it, mine? */
export type IsMine = (client: number, clock: number) => boolean;

/** My own words that still stand, place by place; a word that is mine in part is taken whole, blocks are parted by an empty line. */
export function wordsOf(doc: Y.Doc, isMine: IsMine): Words[] {
	return places(doc).flatMap(({ place, fragment }) => {
		const blocks: string[] = [];
		forEachBlock(fragment, (texts) => {
			const own = ownRuns(texts, isMine);
			if (own) blocks.push(own);
		});
		return blocks.length > 0 ? [{ place, text: blocks.join('\n\n') }] : [];
	});
}

function ownRuns(texts: readonly Y.XmlText[], isMine: IsMine): string {
	let all = '';
	const mine: boolean[] = [];
	for (const text of texts) {
		for (let item = text._start; item; item = item.right) {
			if (item.deleted || !(item.content instanceof Y.ContentString)) continue;
			for (let i = 0; i < item.length; i += 1) mine.push(isMine(item.id.client, item.id.clock + i));
			all += item.content.str;
		}
	}
	const words = [...all.matchAll(/\S+/gu)].map(({ 0: word, index }) => ({ word, own: mine.slice(index, index + word.length).some(Boolean) }));
	const runs: string[] = [];
	words.forEach(({ word, own }, i) => {
		if (!own) return;
		if (words[i - 1]?.own) runs[runs.length - 1] += ` ${word}`;
		else runs.push(word);
	});
	return runs.join(' … ');
}
