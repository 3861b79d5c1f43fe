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
	const steps: Step[] = [];
	const undo = new Y.UndoManager(doc, {
		trackedOrigins: new Set<unknown>([ySyncPluginKey, ME]),
		captureTransaction: (transaction) => transaction.meta.get('addToHistory') !== false,
		deleteFilter: (item) => mayBeUndone(item, own, steps)
	});
	let since = 0;
	undo.on('stack-item-added', ({ stackItem }: { stackItem: Step }) => {
		since = Date.now();
		steps.push(stackItem);
		if (steps.length > STEPS_MAX) steps.shift();
	});
	undo.on('stack-cleared', () => (steps.length = 0));
	undo.on('stack-item-updated', () => {
		if (Date.now() - since > STEP_LONGEST_MS) undo.stopCapturing();
	});
	return undo;
}

/** What one step made; the manager has taken it off its stack by the time it asks. */
type Step = { readonly insertions: Parameters<typeof Y.isDeleted>[0] };
/** Steps that are remembered; of older ones, what is left of others' words decides alone. */
const STEPS_MAX = 1_000;

function mayBeUndone(item: Y.Item, own: (client: number) => boolean, steps: readonly Step[]): boolean {
	if (!(item instanceof Y.Item)) return true;
	// A value of something that the same step made (a goal's rank, its title) goes with it or not at all.
	if (item.parentSub !== null && madeWithOthersIn(item, own, steps)) return false;
	if (!(item.content instanceof Y.ContentType)) return true;
	return !holdsOthers(item.content.type, own);
}

/** Does it lie in a goal, an action or the like that was made in the same step, and in which others have written? */
function madeWithOthersIn(item: Y.Item, own: (client: number) => boolean, steps: readonly Step[]): boolean {
	const step = steps.findLast(({ insertions }) => Y.isDeleted(insertions, item.id));
	for (let type = item.parent as AnyType | null; type?._item; type = type._item.parent as AnyType | null) {
		const together = step === undefined || Y.isDeleted(step.insertions, type._item.id);
		if (together && type instanceof Y.Map && holdsOthers(type, own)) return true;
	}
	return false;
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
