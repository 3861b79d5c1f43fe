// A deletion with a way back. The way is open until the person does something else in the document: after that, undo would take
// back the wrong thing.

import type { LiveDocument } from '$lib/document';
import { toasts } from '$lib/toast.svelte';
import type * as Y from 'yjs';

export function undoable(live: LiveDocument, words: string): void {
	const doc = live.doc;
	const stop = () => doc.off('afterTransaction', onChange);
	const onChange = (transaction: Y.Transaction) => {
		if (!transaction.local || transaction.changed.size === 0) return;
		stop();
		if (toasts.current?.undo === undo) toasts.dismiss();
	};
	const undo = () => {
		stop();
		live.undo();
	};
	toasts.show(words, undo);
	// The deletion itself has been made by now; what comes next is something else.
	doc.on('afterTransaction', onChange);
	setTimeout(stop, 60_000);
}
