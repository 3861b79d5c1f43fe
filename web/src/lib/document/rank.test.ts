import { expect, test } from 'vitest';
import { byRank, rankAtEnd, ranksForMove, type Ranked } from './rank';

function moved(items: Ranked[], id: string, direction: 'up' | 'down'): string {
	const ranks = ranksForMove(items, id, direction);
	return items
		.map((item) => ({ ...item, rank: ranks.get(item.id) ?? item.rank }))
		.sort(byRank)
		.map((item) => item.id)
		.join('');
}

const list = (...ranks: string[]): Ranked[] => ranks.map((rank, i) => ({ id: 'abcdefgh'[i]!, rank }));

test.each([
	[list('a0', 'a1', 'a2'), 'c', 'up', 'acb'],
	[list('a0', 'a1', 'a2'), 'a', 'down', 'bac'],
	[list('a0', 'a1', 'a2'), 'a', 'up', 'abc'],
	[list('a0', 'a1', 'a2'), 'c', 'down', 'abc'],
	[list('a0', 'a0', 'a0'), 'c', 'up', 'acb'],
	[list('a0', 'a0', 'a0', 'a0'), 'a', 'down', 'bacd'],
	[list('a0', 'a1', 'a1', 'a1', 'a2'), 'e', 'up', 'abced'],
	[list('a0', 'a1', 'a1', 'a1', 'a2'), 'a', 'down', 'bacde'],
	[list('1', '2', '3'), 'c', 'up', 'acb']
] as const)('moves by one place: %j %s %s', (items, id, direction, expected) => {
	expect(moved([...items], id, direction)).toBe(expected);
});

test('a new one comes last', () => {
	expect(rankAtEnd([])).toBe('a0');
	expect(rankAtEnd(list('a0', 'a1')) > 'a1').toBe(true);
});
