/** One ProseMirror editor for one fragment of a live document. */
import { Fragment, Slice } from 'prosemirror-model';
import { EditorState, Plugin, TextSelection } from 'prosemirror-state';
import { EditorView } from 'prosemirror-view';
import { initProseMirrorDoc, ySyncPlugin, ySyncPluginKey } from 'y-prosemirror';
import type { Awareness } from 'y-protocols/awareness';
import type * as Y from 'yjs';
import { readCaret } from '$lib/document/caret';
import { nodeType } from './commands';
import { cursors } from './cursors';
import { keys, type KeyActions } from './keys';
import { ownCaret } from './own-caret';
import { fitted, PasteParser } from './paste';
import { placeholder } from './placeholder';
import { sectionSchema, type FragmentKind } from './schema';
import { tables } from './tables';
import { undoSelection } from './undo-selection';

export interface EditorOptions {
	readonly mount: HTMLElement;
	readonly fragment: Y.XmlFragment;
	readonly kind: FragmentKind;
	readonly undo: Y.UndoManager;
	readonly awareness: Awareness;
	readonly actions: KeyActions;
	readonly plugins: readonly Plugin[];
	readonly placeholder: () => string;
	readonly editable: () => boolean;
	readonly attributes: () => Record<string, string>;
	/** After every change of the state. */
	readonly changed: (view: EditorView) => void;
	readonly focused: (view: EditorView) => void;
}

const pasteParser = PasteParser.for(sectionSchema);

export function createEditor(options: EditorOptions): EditorView {
	const { kind, fragment } = options;
	// Filled before the view is made, the caret has somewhere to stand. An empty fragment is left to the plugin: it makes no content.
	const filled = fragment.length > 0 ? initProseMirrorDoc(fragment, sectionSchema) : null;
	const plugins: Plugin[] = [
		ySyncPlugin(fragment, filled ? { mapping: filled.mapping } : {}),
		...(fragment.doc ? [ownCaret(fragment.doc)] : []),
		undoSelection(options.undo, fragment),
		cursors(options.awareness),
		placeholder(options.placeholder),
		...keys(kind, options.actions),
		tables(),
		...(kind === 'list' ? [staysList()] : []),
		...options.plugins
	];
	return new EditorView(
		{ mount: options.mount },
		{
			state: EditorState.create({ schema: sectionSchema, doc: filled?.doc, plugins }),
			editable: () => options.editable(),
			attributes: () => options.attributes(),
			clipboardParser: pasteParser,
			// What was pasted is undone by itself, not with the words before it.
			handlePaste: () => {
				options.undo.stopCapturing();
				return false;
			},
			transformPasted: (slice) => fitted(slice, kind, sectionSchema),
			clipboardTextParser: (text) => plainText(text),
			handleScrollToSelection: (view) => isRemote(view),
			handleDOMEvents: {
				// A key may come before the browser has told of the selection it acts on.
				keydown: (_, event) => void (event.isComposing || readCaret()),
				focus: (view) => {
					// What is written in another field is a step of its own.
					options.undo.stopCapturing();
					options.focused(view);
				}
			},
			// Called while the view is still being made, when y-prosemirror fills it: so `this`.
			dispatchTransaction(this: EditorView, tr) {
				this.updateState(this.state.apply(tr));
				options.changed(this);
			}
		}
	);
}

/** Criteria that were all deleted leave a list behind, not a paragraph. Only after my own change: two who tidy up at once make two lists. */
function staysList(): Plugin {
	return new Plugin({
		appendTransaction: (transactions, _, { doc, tr, selection }) => {
			const mine = transactions.some((one) => one.docChanged && one.getMeta(ySyncPluginKey) === undefined);
			const block = doc.firstChild;
			if (!mine || doc.childCount !== 1 || !block?.isTextblock) return null;
			const item = nodeType('list_item').create(null, nodeType('paragraph').create(null, block.content));
			const at = Math.min(selection.head, block.content.size + 1) + 2;
			tr.replaceWith(0, doc.content.size, nodeType('bullet_list').create(null, item));
			return tr.setSelection(TextSelection.create(tr.doc, at));
		}
	});
}

/** Remote edits never scroll the page; mine, and my undo, do. */
function isRemote(view: EditorView): boolean {
	const sync = ySyncPluginKey.getState(view.state);
	return sync.isChangeOrigin && !sync.isUndoRedoOperation;
}

/** Each line a paragraph; empty ones only part. */
function plainText(text: string): Slice {
	const lines = text.split(/(?:\r\n?|\n)+/).filter((line) => line.trim() !== '');
	const paragraphs = lines.map((line) => sectionSchema.node('paragraph', null, sectionSchema.text(line)));
	return paragraphs.length === 0 ? Slice.empty : new Slice(Fragment.from(paragraphs), 1, 1);
}
