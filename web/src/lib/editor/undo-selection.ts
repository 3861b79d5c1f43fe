/**
 * Where the caret stood travels with what is undone, for every editor of the page's one history. (y-prosemirror's own undo plugin would
 * destroy the shared history together with any one editor.)
 */
import { Plugin, PluginKey, TextSelection, type EditorState } from 'prosemirror-state';
import type { EditorView } from 'prosemirror-view';
import { getRelativeSelection, relativePositionToAbsolutePosition, ySyncPluginKey } from 'y-prosemirror';
import type * as Y from 'yjs';

type RelativeSelection = ReturnType<typeof getRelativeSelection>;
type StackEvent = { stackItem: { meta: Map<unknown, unknown> }; changedParentTypes: Map<unknown, unknown> };

const key = new PluginKey<RelativeSelection | null>('undo-selection');

export function undoSelection(undo: Y.UndoManager, fragment: Y.XmlFragment): Plugin {
	return new Plugin<RelativeSelection | null>({
		key,
		state: {
			init: () => null,
			apply: (tr, before, old) => (tr.docChanged || tr.selectionSet ? relative(old) : before)
		},
		view: (view) => {
			const added = ({ stackItem, changedParentTypes }: StackEvent) => {
				if (changedParentTypes.has(fragment)) stackItem.meta.set(fragment, key.getState(view.state));
			};
			const popped = ({ stackItem, changedParentTypes }: StackEvent) => {
				if (changedParentTypes.has(fragment)) restore(view, stackItem.meta.get(fragment) as RelativeSelection | undefined);
			};
			undo.on('stack-item-added', added as never);
			undo.on('stack-item-popped', popped as never);
			return {
				destroy: () => {
					undo.off('stack-item-added', added as never);
					undo.off('stack-item-popped', popped as never);
				}
			};
		}
	});
}

function relative(state: EditorState): RelativeSelection | null {
	const { binding } = ySyncPluginKey.getState(state);
	return binding && binding.mapping.size > 0 ? getRelativeSelection(binding, state) : null;
}

/** The place of what was undone gets the caret, and is brought into view: it was my own act. */
function restore(view: EditorView, selection: RelativeSelection | undefined): void {
	const { doc, type, binding } = ySyncPluginKey.getState(view.state);
	const absolute = (position: unknown) => position && relativePositionToAbsolutePosition(doc, type, position as Y.RelativePosition, binding.mapping);
	const anchor = absolute(selection?.anchor);
	const head = absolute(selection?.head);
	let tr = view.state.tr.setMeta('addToHistory', false);
	if (typeof anchor === 'number' && typeof head === 'number') {
		const end = tr.doc.content.size;
		tr = tr.setSelection(TextSelection.between(tr.doc.resolve(Math.min(anchor, end)), tr.doc.resolve(Math.min(head, end))));
	}
	view.dispatch(tr.scrollIntoView());
	if (!view.hasFocus()) view.focus();
}
