// The governance chain above a goal: which goals it points at, and the way from there up to the vision.

import type { GoalLink } from '$lib/document';
import type { ChainGoal } from '$lib/protocol/ChainGoal';
import type { ChainGoalKind } from '$lib/protocol/ChainGoalKind';

export type Chain = ReadonlyMap<string, ChainGoal>;

/** One goal on a thread, with the links that name it directly. */
export type Knot = { goal: ChainGoal; links: GoalLink[] };

/** A thread from the top down to the last goal that is pointed at. */
export type Thread = { id: string; knots: Knot[] };

export type Threads = { threads: Thread[]; broken: GoalLink[] };

const LEVEL: Record<ChainGoalKind, number> = {
	vision_aim: 0,
	policy_goal: 1,
	strategy_goal: 2,
	budget_priority: 3,
	executive_goal: 4,
	initiative: 5
};

/** *Vision 2030: Plads til hinanden ved fjorden* is *Vision 2030* where it only says where a goal stands. */
export function shortTitle(title: string): string {
	return title.split(': ')[0] ?? title;
}

export function chainOf(items: readonly ChainGoal[]): Chain {
	return new Map(items.map((goal) => [goal.id, goal]));
}

/**
 * A goal's threads. A target that stands above another target lies on the other's thread; each other target has its own. Every way
 * up is on the thread, from the top level down, each goal once.
 */
export function threadsOf(links: readonly GoalLink[], chain: Chain): Threads {
	const direct = new Map<string, GoalLink[]>();
	const broken: GoalLink[] = [];
	for (const link of links) {
		if (!chain.has(link.target)) broken.push(link);
		else direct.set(link.target, [...(direct.get(link.target) ?? []), link]);
	}
	const above = new Map([...direct.keys()].map((id) => [id, ancestors(id, chain)]));
	const lowest = [...direct.keys()].filter((id) => ![...above].some(([other, up]) => other !== id && up.has(id)));
	const threads = lowest.map((id) => {
		const ids = [...(above.get(id) ?? []), id];
		const knots = ids
			.map((each) => ({ goal: chain.get(each) as ChainGoal, links: direct.get(each) ?? [] }))
			.sort((a, b) => rank(a.goal, id) - rank(b.goal, id) || a.goal.code.localeCompare(b.goal.code, 'da'));
		return { id, knots };
	});
	threads.sort((a, b) => order(a) - order(b) || a.id.localeCompare(b.id));
	return { threads, broken };
}

/** The target itself comes last on its thread, whatever its level. */
function rank(goal: ChainGoal, last: string): number {
	return goal.id === last ? Infinity : LEVEL[goal.kind];
}

function order(thread: Thread): number {
	const last = thread.knots.at(-1);
	return last ? LEVEL[last.goal.kind] : 0;
}

function ancestors(id: string, chain: Chain, seen = new Set<string>()): Set<string> {
	for (const parent of chain.get(id)?.parent_ids ?? []) {
		if (seen.has(parent) || !chain.has(parent)) continue;
		seen.add(parent);
		ancestors(parent, chain, seen);
	}
	return seen;
}
