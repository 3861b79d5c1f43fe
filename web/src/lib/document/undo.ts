/**
 * Undo and redo of my own words, one history for the whole page. It never takes away what somebody else wrote: a paragraph, a list or
 * a goal of mine in which others have written meanwhile stays when I undo making it (the default would delete their words with it).
 */
import { ySyncPluginKey } from 'y-prosemirror';
import * as Y from 'yjs';
import { ME } from './goals';

// Yjs' own types of its types are not assignable to one another.
type AnyType = Y.AbstractType<any>;

/** Typing without a pause is one step of undo for so long. */
const STEP_LONGEST_MS = 3_000;

/** `own` answers for a client id of mine in this page's life. */
export function pageUndo(doc: Y.Doc, own: (client: number) => boolean): Y.UndoManager {
	const undo = new Y.UndoManager(doc, {
		trackedOrigins: new Set<unknown>([ySyncPluginKey, ME]),
		captureTransaction: (transaction) => transaction.meta.get('addToHistory') !== false,
		deleteFilter: (item) => mayBeUndone(item, own)
	});
	let since = 0;
	undo.on('stack-item-added', () => (since = Date.now()));
	undo.on('stack-item-updated', () => {
		if (Date.now() - since > STEP_LONGEST_MS) undo.stopCapturing();
	});
	return undo;
}

function mayBeUndone(item: Y.Item, own: (client: number) => boolean): boolean {
	if (!(item instanceof Y.Item)) return true;
	// A value of a goal (its rank, its title) goes with the goal or not at all.
	const goal = item.parentSub === null ? null : outermostMap(item);
	if (goal && holdsOthers(goal, own)) return false;
	if (!(item.content instanceof Y.ContentType)) return true;
	return !holdsOthers(item.content.type, own);
}

/** The goal (entry of the root map) that this item lies in, if it lies in one. */
function outermostMap(item: Y.Item): AnyType | null {
	let inside: AnyType | null = null;
	let type = item.parent as AnyType | null;
	while (type?._item) {
		inside = type;
		type = type._item.parent as AnyType | null;
	}
	return inside instanceof Y.Map ? inside : null;
}

function holdsOthers(type: AnyType, own: (client: number) => boolean): boolean {
	for (let item = type._start; item; item = item.right) if (isOthers(item, own)) return true;
	for (const item of type._map.values()) if (isOthers(item, own)) return true;
	return false;
}

function isOthers(item: Y.Item, own: (client: number) => boolean): boolean {
	if (item.deleted) return false;
	if (!own(item.id.client)) return true;
	return item.content instanceof Y.ContentType && holdsOthers(item.content.type, own);
}
