import { expect, test } from 'vitest';
import { GAP, layout, type Placed } from './layout';

function random(seed: number): () => number {
	let at = seed;
	return () => ((at = (at * 1664525 + 1013904223) % 2 ** 32) / 2 ** 32);
}

test('a note stands level with its words when nothing is in the way', () => {
	expect(layout([{ want: 40, height: 50 }, { want: 300, height: 50 }], null)).toEqual([40, 300]);
});

test('the chosen one keeps its place and the ones before it move up', () => {
	expect(layout([{ want: 100, height: 80 }, { want: 120, height: 80 }], 1)).toEqual([120 - GAP - 80, 120]);
});

test('whatever is chosen, none overlaps, none stands above the top, and it stands level with its words', () => {
	const next = random(7);
	for (let round = 0; round < 2_000; round += 1) {
		const notes: Placed[] = Array.from({ length: 1 + Math.floor(next() * 12) }, () => ({
			want: Math.floor(next() * 600),
			height: 20 + Math.floor(next() * 200)
		})).sort((one, other) => one.want - other.want);
		const chosen = next() < 0.3 ? null : Math.floor(next() * notes.length);
		const tops = layout(notes, chosen);
		const placed = tops.flatMap((top, index) => (top === null ? [] : [{ top, bottom: top + notes[index]!.height + GAP }]));
		placed.forEach(({ top }, index) => {
			expect(top).toBeGreaterThanOrEqual(0);
			if (index > 0) expect(top).toBeGreaterThanOrEqual(placed[index - 1]!.bottom);
		});
		// Only what stands above the chosen one may find no room, and that is the furthest up.
		expect(tops.lastIndexOf(null)).toBeLessThan(chosen ?? 0);
		expect(tops.slice(0, tops.lastIndexOf(null) + 1).every((top) => top === null)).toBe(true);
		if (chosen !== null) expect(tops[chosen]).toBe(notes[chosen]!.want);
	}
});

test('hundreds beside a few lines leave the chosen one level with its words', () => {
	const notes = Array.from({ length: 500 }, (_, index) => ({ want: index * 4, height: 60 }));
	const tops = layout(notes, 250);
	expect(tops[250]).toBe(1_000);
	expect(tops[249]).toBe(1_000 - GAP - 60);
	expect(tops[0]).toBe(null);
});
