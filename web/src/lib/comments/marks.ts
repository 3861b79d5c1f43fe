/**
 * The commented words of one text, marked in it, and the other way: what is selected, as the server can find it again. The marks follow
 * my own writing at once; where the server says that an anchor moved, they are read anew.
 */
import { Plugin, PluginKey, type EditorState, type Transaction } from 'prosemirror-state';
import { Mapping, StepMap } from 'prosemirror-transform';
import { Decoration, DecorationSet, type EditorView } from 'prosemirror-view';
import { absolutePositionToRelativePosition, relativePositionToAbsolutePosition, ySyncPluginKey } from 'y-prosemirror';
import * as Y from 'yjs';
import { m } from '$lib/paraglide/messages';
import type { Thread } from './thread';

/** Words of one text, as the page has them: positions that hold while others write. */
export interface Selected {
	readonly field: string;
	readonly start: string;
	readonly end: string;
	readonly quote: string;
}

/** What the marks ask of the page. */
export interface MarkSource {
	/** Open threads about words of this text. */
	threadsIn(field: string): readonly Thread[];
	readonly current: string | null;
	/** Its note stands on the page, to be named as what the words are about. */
	noteShown(thread: Thread): boolean;
	choose(id: string, focus: boolean): void;
	/** A text has come, or gone. */
	shown(field: string, view: EditorView): () => void;
	/** The marks may stand elsewhere now. */
	moved(): void;
}

const marksKey = new PluginKey<DecorationSet>('comment-marks');

export function commentMarks(field: string, source: MarkSource): Plugin<DecorationSet> {
	const build = (state: EditorState) => DecorationSet.create(state.doc, decorations(state, source.threadsIn(field), source));
	return new Plugin<DecorationSet>({
		key: marksKey,
		state: {
			init: () => DecorationSet.empty,
			apply: (tr, before, _, state) => {
				if (tr.getMeta(marksKey)) return build(state);
				if (fromOthers(tr)) return followed(before, tr, state, source.threadsIn(field), source);
				return tr.docChanged ? before.map(tr.mapping, tr.doc) : before;
			}
		},
		props: {
			decorations: (state) => marksKey.getState(state),
			handleClick: (view, _, event) => {
				const id = event.target instanceof Element ? event.target.closest<HTMLElement>('mark[data-thread]')?.dataset.thread : undefined;
				if (id) source.choose(id, !view.editable);
				return false;
			}
		},
		view: (view) => {
			const gone = source.shown(field, view);
			const timer = setTimeout(() => refreshMarks(view));
			return {
				update: (now, before) => {
					if (now.state.doc !== before.doc) source.moved();
				},
				destroy: () => {
					clearTimeout(timer);
					gone();
				}
			};
		}
	});
}

/** Reads the marks anew: threads came, went or moved. */
export function refreshMarks(view: EditorView): void {
	if (!view.isDestroyed) view.dispatch(view.state.tr.setMeta(marksKey, true).setMeta('addToHistory', false));
}

function fromOthers(tr: Transaction): boolean {
	return tr.getMeta(ySyncPluginKey)?.isChangeOrigin === true;
}

/**
 * What others wrote comes as a whole new text, in which every block that they did not touch is the very same node. Marks in those only
 * move along; marks in the others, and those that stood nowhere, are read anew.
 */
function followed(before: DecorationSet, tr: Transaction, state: EditorState, threads: readonly Thread[], source: MarkSource): DecorationSet {
	const { before: old, doc } = tr;
	const fewer = Math.min(old.childCount, doc.childCount);
	let [head, from] = [0, 0];
	while (head < fewer && old.child(head) === doc.child(head)) from += doc.child(head++).nodeSize;
	let [tail, end] = [1, 0];
	while (tail <= fewer - head && old.child(old.childCount - tail) === doc.child(doc.childCount - tail)) {
		end += doc.child(doc.childCount - tail++).nodeSize;
	}
	const [was, now] = [old.content.size - end, doc.content.size - end];
	const moved = before.map(new Mapping([new StepMap([from, was - from, now - from])]), doc);
	const kept = moved.remove(moved.find(from, now));
	const marked = new Set(kept.find().map(({ spec }) => spec.thread as string));
	return kept.add(doc, decorations(state, threads.filter(({ id }) => !marked.has(id)), source));
}

function decorations(state: EditorState, threads: readonly Thread[], source: MarkSource): Decoration[] {
	return threads.flatMap((thread) => {
		const range = rangeOf(state, thread);
		if (!range) return [];
		const attrs = {
			nodeName: 'mark',
			class: thread.id === source.current ? 'comment-mark on' : 'comment-mark',
			'data-thread': thread.id,
			...(source.noteShown(thread) ? { 'aria-details': `thread-${thread.id}` } : {})
		};
		return [Decoration.inline(range.from, range.to, attrs, { inclusiveStart: false, inclusiveEnd: false, thread: thread.id })];
	});
}

/** Where a thread's words stand in this text now; `null`: nowhere. */
export function rangeOf(state: EditorState, thread: Thread): { from: number; to: number } | null {
	const { doc, type, binding } = ySyncPluginKey.getState(state);
	if (!thread.anchor || !binding || binding.mapping.size === 0) return null;
	const absolute = (encoded: string): number | null => {
		try {
			return relativePositionToAbsolutePosition(doc, type, Y.decodeRelativePosition(bytes(encoded)), binding.mapping);
		} catch {
			return null;
		}
	};
	const from = absolute(thread.anchor.start);
	const to = absolute(thread.anchor.end);
	if (from === null || to === null || from >= to || to > state.doc.content.size) return null;
	return { from, to };
}

/** Where the mark of a thread stands now, also while my own words are on their way. */
export function markOf(view: EditorView, id: string): { from: number; to: number } | null {
	const [found] = marksKey.getState(view.state)?.find(undefined, undefined, (spec) => spec.thread === id) ?? [];
	return found ? { from: found.from, to: found.to } : null;
}

/** What is selected in this text; `null`: nothing, or no letters. */
export function selectedIn(view: EditorView, field: string): Selected | null {
	const range = selectedRange(view);
	if (!range) return null;
	const quote = wordsBetween(view.state, range.from, range.to);
	const { type, binding } = ySyncPluginKey.getState(view.state);
	if (quote.trim() === '' || !binding) return null;
	const encode = (position: number) =>
		text(Y.encodeRelativePosition(absolutePositionToRelativePosition(position, type, binding.mapping)));
	return { field, start: encode(range.from), end: encode(range.to), quote };
}

/** A text that one may only read has no selection of its own: the browser's is asked. */
function selectedRange(view: EditorView): { from: number; to: number } | null {
	const selection = view.dom.ownerDocument.getSelection();
	if (!selection || selection.rangeCount === 0 || selection.isCollapsed) return null;
	const range = selection.getRangeAt(0);
	if (!view.dom.contains(range.startContainer) || !view.dom.contains(range.endContainer)) return null;
	let from = view.posAtDOM(range.startContainer, range.startOffset, 1);
	let to = view.posAtDOM(range.endContainer, range.endOffset, -1);
	const { doc } = view.state;
	// A double click takes the space after the word with it.
	const words = doc.textBetween(from, to, '\n', '\n');
	from += words.length - words.trimStart().length;
	to -= words.length - words.trimEnd().length;
	return from < to ? { from, to } : null;
}

/** Plain words, blocks and line breaks as new lines: as the server reads them. */
export function wordsBetween(state: EditorState, from: number, to: number): string {
	return state.doc.textBetween(from, to, '\n', '\n');
}

/** Puts the proposed words in place of a thread's own, as an edit of mine. `false`: its words are not as quoted. */
export function insertProposal(view: EditorView, thread: Thread, replacement: string): boolean {
	const range = markOf(view, thread.id) ?? rangeOf(view.state, thread);
	if (!range || thread.quote === null || !view.editable) return false;
	if (normal(wordsBetween(view.state, range.from, range.to)) !== normal(thread.quote)) return false;
	const { state } = view;
	const marks = state.doc.resolve(range.from + 1).marks();
	const lines = holdsLines(thread.anchor?.field ?? '') ? replacement.split(/\n+/) : [replacement.replace(/\n+/g, ' ')];
	const tr = state.tr;
	if (lines.length === 1 || !state.doc.resolve(range.from).sameParent(state.doc.resolve(range.to))) {
		tr.replaceWith(range.from, range.to, state.schema.text(lines.join(' '), marks));
	} else {
		tr.replaceWith(range.from, range.to, state.schema.text(lines[0] || ' ', marks));
		let at = tr.mapping.map(range.to);
		for (const line of lines.slice(1)) {
			tr.split(at);
			at += 2;
			if (line) tr.insert(at, state.schema.text(line, marks));
			at += line.length;
		}
	}
	view.dispatch(tr.scrollIntoView());
	return true;
}

/** A section, a goal's description and its criteria hold paragraphs; everything else is one line. */
function holdsLines(field: string): boolean {
	return field.startsWith('section:') || /:(body|success)$/.test(field);
}

function normal(words: string): string {
	return words.replace(/\s+/g, ' ').trim();
}

/** What a screen reader says of a commented place. */
export function markLabel(quote: string | null): string {
	return quote ? m.comment_on_quote({ quote: short(quote) }) : m.comment_on_place();
}

export function short(words: string, most = 80): string {
	const line = words.replace(/\s+/g, ' ').trim();
	return line.length <= most ? line : `${line.slice(0, most - 1).trimEnd()}…`;
}

function text(encoded: Uint8Array): string {
	return btoa(String.fromCharCode(...encoded));
}

function bytes(encoded: string): Uint8Array {
	return Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
}
