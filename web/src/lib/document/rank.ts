/**
 * The order of goals and actions: (`rank`, id) by bytes, everywhere the same. A rank is an ASCII key between two others
 * (`fractional-indexing`: a0, a1, … a0V between); two people who insert at one place at once may make equal ranks, which the id parts.
 */
import { generateKeyBetween } from 'fractional-indexing';

export interface Ranked {
	readonly id: string;
	readonly rank: string;
}

/** By bytes; ranks and ids are ASCII, so code units do. */
export function byRank(a: Ranked, b: Ranked): number {
	if (a.rank !== b.rank) return a.rank < b.rank ? -1 : 1;
	return a.id === b.id ? 0 : a.id < b.id ? -1 : 1;
}

/** A rank after everything there is. */
export function rankAtEnd(sorted: readonly Ranked[]): string {
	return between(sorted.at(-1)?.rank ?? null, null);
}

/**
 * The new ranks that put `id` one place up or down: its own, and first that of a neighbour where two are equal (between equal ranks
 * there is nothing; the later one steps aside). Empty: it is at the end already.
 */
export function ranksForMove(sorted: readonly Ranked[], id: string, direction: 'up' | 'down'): Map<string, string> {
	const from = sorted.findIndex((item) => item.id === id);
	const to = direction === 'up' ? from - 1 : from + 1;
	const changed = new Map<string, string>();
	if (from < 0 || to < 0 || to >= sorted.length) return changed;
	const others = sorted.filter((item) => item.id !== id).map((item) => ({ ...item }));
	const before = others[to - 1];
	const after = others[to];
	if (before && after && before.rank >= after.rank) {
		const beyond = others.slice(to).find((item) => item.rank > before.rank);
		after.rank = between(before.rank, beyond === after ? null : (beyond?.rank ?? null));
		changed.set(after.id, after.rank);
		// Everything that shared the rank moves with it, in order.
		for (let i = to + 1; i < others.length; i += 1) {
			const previous = others[i - 1]!;
			const next = others[i]!;
			if (next.rank > previous.rank) break;
			next.rank = between(previous.rank, null);
			changed.set(next.id, next.rank);
		}
	}
	changed.set(id, between(before?.rank ?? null, after?.rank ?? null));
	return changed;
}

/** Ranks that came from elsewhere may not be keys of this kind: then the order still holds, by appending. */
function between(low: string | null, high: string | null): string {
	try {
		return generateKeyBetween(low, high);
	} catch {
		return `${low ?? 'a0'}V`;
	}
}
