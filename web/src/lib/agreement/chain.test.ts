import { expect, test } from 'vitest';
import type { GoalLink } from '$lib/document';
import type { ChainGoal } from '$lib/protocol/ChainGoal';
import type { ChainGoalKind } from '$lib/protocol/ChainGoalKind';
import { chainOf, threadsOf } from './chain';

function goal(id: string, kind: ChainGoalKind, ...parent_ids: string[]): ChainGoal {
	return {
		id,
		code: id,
		title: id,
		kind,
		description: null,
		document_id: 'd',
		document_title: 'd',
		document_kind: 'strategy',
		adopted: true,
		parent_ids
	};
}
const link = (target: string) => ({ id: `l-${target}`, target, relation: 'contributes_to' }) as unknown as GoalLink;
const chain = chainOf([
	goal('V1', 'vision_aim'),
	goal('L1', 'policy_goal', 'V1'),
	goal('L2', 'policy_goal', 'V1'),
	goal('S3', 'strategy_goal', 'L1', 'L2'),
	goal('B1', 'budget_priority', 'V1')
]);
const codes = (links: GoalLink[]) => threadsOf(links, chain).threads.map(({ knots }) => knots.map(({ goal }) => goal.code).join(' '));

test('a target above another target lies on its thread', () => {
	expect(codes([link('L2'), link('S3')])).toEqual(['V1 L1 L2 S3']);
	const [thread] = threadsOf([link('L2'), link('S3')], chain).threads;
	expect(thread?.knots.map(({ links }) => links.length)).toEqual([0, 0, 1, 1]);
});

test('targets that do not stand above each other have a thread each', () => {
	expect(codes([link('B1'), link('L1')])).toEqual(['V1 L1', 'V1 B1']);
});

test('a target that is gone is said to be broken, and a circle ends', () => {
	expect(threadsOf([link('X')], chain)).toMatchObject({ threads: [], broken: [{ target: 'X' }] });
	const circle = chainOf([goal('A', 'policy_goal', 'B'), goal('B', 'policy_goal', 'A')]);
	expect(threadsOf([link('A')], circle).threads).toHaveLength(1);
});

test('links with the same target are shown as one', () => {
	const [thread] = threadsOf([link('L1'), { ...link('L1'), id: 'second' }], chain).threads;
	expect(thread?.knots.at(-1)?.links).toHaveLength(2);
});
