/**
 * My caret stays behind the word I wrote last when somebody else writes at the same spot. y-prosemirror keeps it before the character
 * that follows, so there two who write at once would push each other's caret on with every key, and their letters would mix.
 */
import { Plugin } from 'prosemirror-state';
import { ySyncPluginKey } from 'y-prosemirror';
import * as Y from 'yjs';

interface Binding {
	beforeTransactionSelection: { type: string; anchor: Y.RelativePosition | null; head: Y.RelativePosition | null } | null;
}

export function ownCaret(doc: Y.Doc): Plugin {
	return new Plugin({
		view: (view) => {
			// Heard after the binding, which has noted by then where the caret is.
			const note = () => {
				const binding: Binding | null = ySyncPluginKey.getState(view.state)?.binding ?? null;
				const noted = binding?.beforeTransactionSelection;
				if (!binding || !noted?.head || !view.state.selection.empty) return;
				const behind = afterTheCharacterBefore(noted.head, doc);
				if (behind) binding.beforeTransactionSelection = { ...noted, anchor: behind, head: behind };
			};
			doc.on('beforeAllTransactions', note);
			return { destroy: () => doc.off('beforeAllTransactions', note) };
		}
	});
}

function afterTheCharacterBefore(position: Y.RelativePosition, doc: Y.Doc): Y.RelativePosition | null {
	const absolute = Y.createAbsolutePositionFromRelativePosition(position, doc);
	if (!(absolute?.type instanceof Y.XmlText) || absolute.index === 0) return null;
	return Y.createRelativePositionFromTypeIndex(absolute.type, absolute.index, -1);
}
