/**
 * Notes beside their words: none overlaps another, the order of the text is kept, and the chosen one stands level with its words; the
 * others make room, and those above it that find none wait until it is left.
 */
export interface Placed {
	/** Where its words stand. */
	readonly want: number;
	readonly height: number;
}

export const GAP = 12;

/** The top of each note, in the order given (by `want`); `null`: no room. `chosen`: the index of the one that does not give way. */
export function layout(notes: readonly Placed[], chosen: number | null, from = 0): (number | null)[] {
	const tops: number[] = new Array(notes.length);
	const pivot = chosen !== null && chosen >= 0 && chosen < notes.length ? chosen : null;
	let free = from;
	const start = pivot ?? 0;
	if (pivot !== null) free = Math.max(from, notes[pivot]!.want);
	for (let index = start; index < notes.length; index += 1) {
		const note = notes[index]!;
		tops[index] = Math.max(note.want, free);
		free = tops[index]! + note.height + GAP;
	}
	if (pivot === null) return tops;
	let limit = tops[pivot]!;
	for (let index = pivot - 1; index >= 0; index -= 1) {
		const note = notes[index]!;
		tops[index] = Math.min(note.want, limit - GAP - note.height);
		limit = tops[index]!;
	}
	return tops.map((top, index) => (index < pivot && top < from ? null : top));
}
