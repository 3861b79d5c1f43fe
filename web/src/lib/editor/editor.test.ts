// @vitest-environment jsdom
import { baseKeymap } from 'prosemirror-commands';
import { TextSelection, type Command } from 'prosemirror-state';
import type { EditorView } from 'prosemirror-view';
import { initProseMirrorDoc } from 'y-prosemirror';
import { Awareness } from 'y-protocols/awareness';
import { afterEach, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { list, paragraph } from '$lib/document/content';
import { pageUndo } from '$lib/document/undo';
import { insertTable, setBlock, setLink, shiftTab, tab, tableCommands, toggleEm, toggleList, toggleStrong } from './commands';
import { createEditor } from './create';
import { sectionSchema, type FragmentKind } from './schema';

vi.setConfig({ testTimeout: 60_000 });

interface Writer {
	view: EditorView;
	doc: Y.Doc;
	undo: Y.UndoManager;
	own: Set<number>;
	fragment: Y.XmlFragment;
}

// jsdom draws nothing; whoever asks where something stands is told: here.
const HERE = { left: 0, right: 0, top: 0, bottom: 0, width: 0, height: 0, x: 0, y: 0, toJSON: () => '' };
Range.prototype.getClientRects = () => [HERE] as unknown as DOMRectList;
Range.prototype.getBoundingClientRect = () => HERE;

let writers: Writer[] = [];

afterEach(() => {
	for (const { view, doc } of writers) {
		view.destroy();
		doc.destroy();
	}
	writers = [];
});

function writer(seed: Uint8Array, kind: FragmentKind = 'section'): Writer {
	const doc = new Y.Doc();
	Y.applyUpdate(doc, seed);
	const fragment = doc.getXmlFragment('section:x');
	const own = new Set([doc.clientID]);
	const undo = pageUndo(doc, (client) => own.has(client));
	const mount = document.createElement('div');
	document.body.append(mount);
	const view = createEditor({
		mount,
		fragment,
		kind,
		undo,
		awareness: new Awareness(doc),
		actions: { undo: () => undo.undo() !== null, redo: () => undo.redo() !== null, editLink: () => false, toToolbar: () => false, toText: () => false },
		plugins: [],
		placeholder: () => '',
		editable: () => true,
		attributes: () => ({}),
		changed: () => {},
		focused: () => {}
	});
	const made = { view, doc, undo, own, fragment };
	writers.push(made);
	return made;
}

function seeded(...content: Y.XmlElement[]): Uint8Array {
	const doc = new Y.Doc();
	doc.getXmlFragment('section:x').insert(0, content);
	return Y.encodeStateAsUpdate(doc);
}

function listSeed(): Uint8Array {
	const doc = new Y.Doc();
	doc.getMap('goals').set('g', list());
	const inner = (doc.getMap('goals').get('g') as Y.XmlFragment).get(0) as Y.XmlElement;
	return seeded(inner.clone() as Y.XmlElement);
}

function exchange(): void {
	for (const from of writers) for (const to of writers) if (from !== to) Y.applyUpdate(to.doc, Y.encodeStateAsUpdate(from.doc, Y.encodeStateVector(to.doc)));
}

function random(seed: number): () => number {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

const COMMANDS: Command[] = [
	baseKeymap.Enter!,
	baseKeymap.Enter!,
	baseKeymap.Backspace!,
	baseKeymap.Delete!,
	toggleStrong,
	toggleEm,
	toggleList('bullet_list'),
	toggleList('ordered_list'),
	tab(true),
	shiftTab(true),
	setBlock('heading2'),
	setBlock('paragraph'),
	insertTable,
	...Object.values(tableCommands),
	setLink('https://www.kommune.dk', 'link')
];

function act(who: Writer, next: () => number): void {
	const { view } = who;
	const place = () => view.state.doc.resolve(Math.floor(next() * (view.state.doc.content.size + 1)));
	view.dispatch(view.state.tr.setSelection(next() < 0.8 ? TextSelection.near(place()) : TextSelection.between(place(), place())));
	const roll = next();
	if (roll < 0.5) view.dispatch(view.state.tr.insertText(`${Math.floor(next() * 100)} `));
	else if (roll < 0.92) COMMANDS[Math.floor(next() * COMMANDS.length)]!(view.state, view.dispatch, view);
	else if (roll < 0.97) who.undo.undo();
	else who.undo.redo();
}

test.each(Array.from({ length: 10 }, (_, i) => i + 1))('three people do everything at once, and see the same valid text: seed %i', (seed) => {
	const next = random(seed);
	const start = seeded(paragraph('Vi giver børn lyst'), paragraph('til at lære 🎈.'));
	for (let i = 0; i < 3; i += 1) writer(start);
	for (let round = 0; round < 40; round += 1) {
		for (const who of writers) for (let i = 0; i < 1 + next() * 3; i += 1) act(who, next);
		if (next() < 0.7) exchange();
	}
	exchange();
	exchange();
	const [first, ...rest] = writers.map(({ view }) => view.state.doc);
	first!.check();
	for (const other of rest) expect(other.toString()).toBe(first!.toString());
	for (const { fragment, view } of writers) {
		expect(initProseMirrorDoc(fragment, sectionSchema).doc.toString()).toBe(view.state.doc.toString());
	}
});

test('a fragment with nothing in it is not written to by being shown', () => {
	const { doc, fragment, view } = writer(Y.encodeStateAsUpdate(new Y.Doc()));
	expect(fragment.length).toBe(0);
	expect(Y.encodeStateAsUpdate(doc)).toEqual(new Uint8Array([0, 0]));
	view.dispatch(view.state.tr.insertText('x', 1));
	expect(fragment.toString()).toBe('<paragraph>x</paragraph>');
});

test('showing what is there writes nothing', () => {
	const { doc } = writer(seeded(paragraph('ord'), paragraph()));
	expect(doc.store.clients.has(doc.clientID)).toBe(false);
});

test('criteria stay a list when everything is deleted', () => {
	const made = writer(listSeed(), 'list');
	made.view.dispatch(made.view.state.tr.insertText('et', 3));
	made.view.dispatch(made.view.state.tr.delete(0, made.view.state.doc.content.size));
	expect(made.fragment.toString()).toBe('<bullet_list><list_item><paragraph></paragraph></list_item></bullet_list>');
});
