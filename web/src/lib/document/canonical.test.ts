/** Documents that the server built open here as themselves: the same content, and nothing in them that the editor's schema would delete. */
import { readFileSync } from 'node:fs';
import { initProseMirrorDoc } from 'y-prosemirror';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { canonical } from '../../../scripts/canonical.mjs';
import { sectionSchema } from '$lib/editor/schema';
import { places } from './content';
import { readGoals } from './goals';

interface Vector {
	readonly name: string;
	readonly update_hex: string;
	readonly content: string;
}

const file = new URL('../../../../client-protocol/vectors/content-samspil.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Vector[] };

describe.each(cases)('what the server built: $name', ({ update_hex, content }) => {
	const doc = new Y.Doc();
	Y.applyUpdate(doc, Buffer.from(update_hex, 'hex'));

	test('says the same here', () => {
		expect(canonical(doc)).toBe(content);
	});

	test('is left as it is by an editor that opens it', () => {
		const before = Y.encodeStateAsUpdate(doc);
		expect(places(doc).length).toBeGreaterThan(0);
		for (const { place, fragment } of places(doc)) {
			const { doc: opened } = initProseMirrorDoc(fragment, sectionSchema);
			expect(() => opened.check(), place).not.toThrow();
		}
		expect(Y.encodeStateAsUpdate(doc)).toEqual(before);
	});

	test('has every goal that its content has', () => {
		const goals = (JSON.parse(content) as { goals: { id: string }[] }).goals;
		expect(readGoals(doc).map((goal) => goal.id)).toEqual(goals.map((goal) => goal.id));
	});
});
