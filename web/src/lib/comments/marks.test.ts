// @vitest-environment jsdom
import { EditorState } from 'prosemirror-state';
import { EditorView } from 'prosemirror-view';
import { absolutePositionToRelativePosition, initProseMirrorDoc, ySyncPlugin, ySyncPluginKey } from 'y-prosemirror';
import { afterEach, beforeEach, expect, test } from 'vitest';
import * as Y from 'yjs';
import { paragraph } from '$lib/document/content';
import { sectionSchema } from '$lib/editor/schema';
import { commentMarks, markOf, rangeOf, refreshMarks, type MarkSource } from './marks';
import type { Thread } from './thread';

const PARAGRAPHS = 50;
const IN_EACH = 10;

let other: Y.Doc;
let mine: Y.Doc;
let view: EditorView;
let threads: Thread[];
/** How many anchors were read. */
let read = 0;

const theirs = () => other.getXmlFragment('section:x');
const textOf = (index: number) => (theirs().get(index) as Y.XmlElement).get(0) as Y.XmlText;

/** A page with ten threads about each of fifty paragraphs, and somebody else's copy of its text. */
beforeEach(() => {
	other = new Y.Doc();
	const words = (line: number) => Array.from({ length: IN_EACH }, (_, at) => `ord${line}x${at}`).join(' og ');
	theirs().insert(0, Array.from({ length: PARAGRAPHS }, (_, line) => paragraph(words(line))));
	mine = new Y.Doc();
	Y.applyUpdate(mine, Y.encodeStateAsUpdate(other));
	other.on('update', (update: Uint8Array) => Y.applyUpdate(mine, update, 'other'));
	const fragment = mine.getXmlFragment('section:x');
	threads = [];
	const source: MarkSource = {
		threadsIn: () => threads,
		current: null,
		noteShown: () => true,
		choose: () => {},
		shown: () => () => {},
		moved: () => {}
	};
	const filled = initProseMirrorDoc(fragment, sectionSchema);
	const plugins = [ySyncPlugin(fragment, { mapping: filled.mapping }), commentMarks('section:x', source)];
	view = new EditorView(document.body, { state: EditorState.create({ schema: sectionSchema, doc: filled.doc, plugins }) });
	const { type, binding } = ySyncPluginKey.getState(view.state);
	const encode = (at: number) =>
		btoa(String.fromCharCode(...Y.encodeRelativePosition(absolutePositionToRelativePosition(at, type, binding.mapping))));
	view.state.doc.descendants((node, at) => {
		for (const word of node.text?.matchAll(/ord\S+/g) ?? []) {
			const anchor = { field: 'section:x', start: encode(at + word.index), end: encode(at + word.index + word[0].length) };
			const thread = { id: word[0], state: 'open', about: { kind: 'words' } };
			Object.defineProperty(thread, 'anchor', { get: () => ((read += 1), anchor) });
			threads.push(thread as unknown as Thread);
		}
	});
	refreshMarks(view);
	read = 0;
});

afterEach(() => view.destroy());

function everyMarkStandsWhereItsAnchorDoes() {
	for (const thread of threads) expect(markOf(view, thread.id), thread.id).toEqual(rangeOf(view.state, thread));
}

test('what somebody else writes costs the marks of its own paragraph, however many threads there are', () => {
	expect(threads).toHaveLength(PARAGRAPHS * IN_EACH);
	for (const letter of 'Nye ord') textOf(25).insert(4, letter);
	const anchors = read / 'Nye ord'.length;
	everyMarkStandsWhereItsAnchorDoes();
	// An anchor is looked at a few times to be read once; neighbours touch the paragraph's edge.
	expect(anchors).toBeLessThan(PARAGRAPHS * IN_EACH / 5);
	expect(anchors).toBeGreaterThanOrEqual(IN_EACH);
});

test('marks stand where their anchors do after others wrote, deleted, split and put back', () => {
	const undo = new Y.UndoManager(theirs());
	let state = 20_261_124;
	const below = (limit: number) => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return Math.floor((state / 2 ** 32) * limit);
	};
	for (let round = 0; round < 60; round += 1) {
		const at = below(theirs().length);
		undo.stopCapturing();
		switch (below(5)) {
			case 0:
				theirs().delete(at, Math.min(1 + below(2), theirs().length - at));
				break;
			case 1:
				theirs().insert(at, [paragraph(`Ny ${round}`)]);
				break;
			case 2:
				undo.undo();
				break;
			case 3: {
				const length = textOf(at).length;
				if (length > 0) textOf(at).delete(below(length), 1);
				break;
			}
			default:
				textOf(at).insert(below(textOf(at).length + 1), 'x');
		}
		everyMarkStandsWhereItsAnchorDoes();
	}
});
