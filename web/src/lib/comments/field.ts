/**
 * The name of a text of the live document, as the server says it: `section:<key>`, `goal:<id>:title`, `goal:<id>:action:<id>:text`.
 */
import * as Y from 'yjs';

const SINGULAR: Record<string, string> = { actions: 'action', indicators: 'indicator', links: 'link' };

/** `null` for a fragment that stands in no document any more. */
export function fieldOf(fragment: Y.XmlFragment): string | null {
	const doc = fragment.doc;
	if (!doc) return null;
	const path: string[] = [];
	let at: Y.AbstractType<unknown> = fragment as unknown as Y.AbstractType<unknown>;
	while (at._item) {
		if (at._item.parentSub === null || !at.parent) return null;
		path.unshift(at._item.parentSub);
		at = at.parent;
	}
	const root = [...doc.share].find(([, type]) => type === at)?.[0];
	if (root === undefined) return null;
	if (root !== 'goals') return root;
	return ['goal', ...path.map((name, index) => (index === 1 ? (SINGULAR[name] ?? name) : name))].join(':');
}

/** Where a field stands on the page: a section's key or a goal's id. */
export function placeOf(field: string): string {
	const [kind, name] = field.split(':');
	return kind === 'section' || kind === 'goal' ? (name ?? field) : field;
}
