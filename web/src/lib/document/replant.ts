/**
 * My unsaved words under a new client id. The blocks of a refused id can never be sent, so the same difference is made again: on a
 * document that holds only what the server has, each place is brought to how I saw it, and the CRDT merges that like any edit.
 * In the same way an older text is brought back: what is the same keeps its identity, and with it its threads.
 */
import { initProseMirrorDoc, updateYFragment } from 'y-prosemirror';
import * as Y from 'yjs';
import { sectionSchema } from '$lib/editor/schema';

/** Brings `base` to what `mine` shows, in one transaction of the given origin. */
export function replant(base: Y.Doc, mine: Y.Doc, origin: unknown): void {
	base.transact(() => {
		for (const name of mine.share.keys()) {
			if (name.startsWith('section:')) copyFragment(base.getXmlFragment(name), mine.getXmlFragment(name));
		}
		copyMap(base.getMap('goals'), mine.getMap('goals'));
	}, origin);
}

function copyFragment(to: Y.XmlFragment, from: Y.XmlFragment): void {
	if (to.toString() === from.toString() || !to.doc) return;
	const { doc } = initProseMirrorDoc(from, sectionSchema);
	const { mapping } = initProseMirrorDoc(to, sectionSchema);
	updateYFragment(to.doc, to, doc, { mapping, isOMark: new Map() });
}

function copyMap(to: Y.Map<unknown>, from: Y.Map<unknown>): void {
	for (const key of [...to.keys()]) if (!from.has(key)) to.delete(key);
	from.forEach((value, key) => {
		if (value instanceof Y.Map) copyMap(existingOr(to, key, Y.Map) as Y.Map<unknown>, value);
		else if (value instanceof Y.XmlFragment) copyFragment(existingOr(to, key, Y.XmlFragment) as Y.XmlFragment, value);
		else if (to.get(key) !== value) to.set(key, value);
	});
}

function existingOr(map: Y.Map<unknown>, key: string, Type: typeof Y.Map | typeof Y.XmlFragment): unknown {
	const existing = map.get(key);
	if (existing instanceof Type) return existing;
	const made = new Type();
	map.set(key, made);
	return made;
}
