/**
 * Goals in a live document: reading them as plain values with the fragments people type in, and the changes a person can make. What
 * people type is a fragment, only what they pick is a value (two who type at once lose nothing).
 */
import * as Y from 'yjs';
import type { GoalOrigin } from '$lib/protocol/GoalOrigin';
import { line, list, textOf } from './content';
import { byRank, rankAtEnd, ranksForMove } from './rank';

/** The origin of changes that are not typed; the undo manager follows it. */
export const ME = 'me';

export type Relation = 'contributes_to' | 'implements' | 'constrained_by';

export interface Goal {
	readonly id: string;
	readonly origin: GoalOrigin;
	readonly rank: string;
	readonly due: string | null;
	readonly title: Y.XmlFragment;
	readonly body: Y.XmlFragment;
	readonly success: Y.XmlFragment;
	readonly responsible: Y.XmlFragment;
	readonly titleText: string;
	readonly actions: Action[];
	readonly indicators: Indicator[];
	readonly links: GoalLink[];
}

export interface Action {
	readonly id: string;
	readonly text: Y.XmlFragment;
	readonly responsible: Y.XmlFragment;
	readonly due: string | null;
	readonly rank: string;
}

export interface Indicator {
	readonly id: string;
	readonly name: Y.XmlFragment;
	readonly source: Y.XmlFragment;
	readonly unit: string;
	readonly direction: string;
	readonly frequency: string;
	readonly baseline: string;
	readonly target: string;
}

export type IndicatorValues = Pick<Indicator, 'unit' | 'direction' | 'frequency' | 'baseline' | 'target'>;

export interface GoalLink {
	readonly id: string;
	readonly target: string;
	readonly relation: Relation;
	readonly reason: Y.XmlFragment;
}

type Map = Y.Map<unknown>;

/** In their order: (`rank`, id). A goal that lacks one of its fragments (half undone by its maker) is left out until it has them. */
export function readGoals(doc: Y.Doc): Goal[] {
	const goals: Goal[] = [];
	doc.getMap('goals').forEach((value, id) => {
		const goal = value instanceof Y.Map ? readGoal(id, value as Map) : null;
		if (goal) goals.push(goal);
	});
	return goals.sort(byRank);
}

function readGoal(id: string, map: Map): Goal | null {
	const [title, body, success, responsible] = ['title', 'body', 'success', 'responsible'].map((key) => fragment(map, key));
	if (!title || !body || !success || !responsible) return null;
	return {
		id,
		origin: string(map, 'origin', 'local') as GoalOrigin,
		rank: string(map, 'rank', 'a0'),
		due: string(map, 'due') || null,
		title,
		body,
		success,
		responsible,
		titleText: textOf(title),
		actions: read(map, 'actions', readAction).sort(byRank),
		indicators: read(map, 'indicators', readIndicator).sort(byId),
		links: read(map, 'links', readLink).sort(byId)
	};
}

function readAction(id: string, map: Map): Action | null {
	const text = fragment(map, 'text');
	const responsible = fragment(map, 'responsible');
	if (!text || !responsible) return null;
	return { id, text, responsible, due: string(map, 'due') || null, rank: string(map, 'rank', 'a0') };
}

function readIndicator(id: string, map: Map): Indicator | null {
	const name = fragment(map, 'name');
	const source = fragment(map, 'source');
	if (!name || !source) return null;
	return {
		id,
		name,
		source,
		unit: string(map, 'unit'),
		direction: string(map, 'direction'),
		frequency: string(map, 'frequency'),
		baseline: string(map, 'baseline'),
		target: string(map, 'target')
	};
}

function readLink(id: string, map: Map): GoalLink | null {
	const reason = fragment(map, 'reason');
	const target = string(map, 'target');
	if (!reason || !target) return null;
	return { id, target, relation: string(map, 'relation', 'contributes_to') as Relation, reason };
}

export function addGoal(doc: Y.Doc, origin: GoalOrigin): string {
	const id = crypto.randomUUID();
	const rank = rankAtEnd(readGoals(doc));
	change(doc, () => {
		doc.getMap('goals').set(
			id,
			mapOf({
				title: line(),
				body: line(),
				success: list(),
				responsible: line(),
				origin,
				rank,
				actions: new Y.Map(),
				indicators: new Y.Map(),
				links: new Y.Map()
			})
		);
	});
	return id;
}

export function removeGoal(doc: Y.Doc, id: string): void {
	change(doc, () => doc.getMap('goals').delete(id));
}

/** Among the goals of the same origin: that is the list it is seen in. */
export function moveGoal(doc: Y.Doc, id: string, direction: 'up' | 'down'): void {
	const goals = readGoals(doc);
	const origin = goals.find((goal) => goal.id === id)?.origin;
	const ranks = ranksForMove(
		goals.filter((goal) => goal.origin === origin),
		id,
		direction
	);
	change(doc, () => ranks.forEach((rank, moved) => goalMap(doc, moved)?.set('rank', rank)));
}

export function addAction(doc: Y.Doc, goalId: string): string {
	const rank = rankAtEnd(readGoals(doc).find((goal) => goal.id === goalId)?.actions ?? []);
	return addTo(doc, goalId, 'actions', { text: line(), responsible: line(), rank });
}

export function addIndicator(doc: Y.Doc, goalId: string): string {
	const values = { unit: '', direction: '', frequency: '', baseline: '', target: '' };
	return addTo(doc, goalId, 'indicators', { name: line(), source: line(), ...values });
}

export function addLink(doc: Y.Doc, goalId: string, target: string, relation: Relation): string {
	return addTo(doc, goalId, 'links', { target, relation, reason: line() });
}

export function setGoalDue(doc: Y.Doc, goalId: string, due: string | null): void {
	change(doc, () => setDue(goalMap(doc, goalId), due));
}

export function setActionDue(doc: Y.Doc, goalId: string, id: string, due: string | null): void {
	change(doc, () => setDue(itemMap(doc, goalId, 'actions', id), due));
}

export function setIndicator(doc: Y.Doc, goalId: string, id: string, values: Partial<IndicatorValues>): void {
	const map = itemMap(doc, goalId, 'indicators', id);
	if (!map) return;
	change(doc, () => {
		for (const [key, value] of Object.entries(values)) if (map.get(key) !== value) map.set(key, value);
	});
}

/** No day is no key. */
function setDue(map: Map | undefined, due: string | null): void {
	if (due) map?.set('due', due);
	else map?.delete('due');
}

type Kind = 'actions' | 'indicators' | 'links';

export function removeFrom(doc: Y.Doc, goalId: string, kind: Kind, id: string): void {
	change(doc, () => (goalMap(doc, goalId)?.get(kind) as Map | undefined)?.delete(id));
}

function addTo(doc: Y.Doc, goalId: string, kind: Kind, values: Record<string, unknown>): string {
	const id = crypto.randomUUID();
	change(doc, () => (goalMap(doc, goalId)?.get(kind) as Map | undefined)?.set(id, mapOf(values)));
	return id;
}

function change(doc: Y.Doc, act: () => void): void {
	doc.transact(act, ME);
}

function mapOf(values: Record<string, unknown>): Map {
	const map = new Y.Map<unknown>();
	for (const [key, value] of Object.entries(values)) map.set(key, value);
	return map;
}

function goalMap(doc: Y.Doc, id: string): Map | undefined {
	const goal = doc.getMap('goals').get(id);
	return goal instanceof Y.Map ? (goal as Map) : undefined;
}

function itemMap(doc: Y.Doc, goalId: string, kind: Kind, id: string): Map | undefined {
	const items = goalMap(doc, goalId)?.get(kind);
	const item = items instanceof Y.Map ? (items.get(id) as unknown) : undefined;
	return item instanceof Y.Map ? (item as Map) : undefined;
}

function read<Item>(map: Map, key: Kind, one: (id: string, map: Map) => Item | null): Item[] {
	const items = map.get(key);
	const found: Item[] = [];
	if (items instanceof Y.Map) {
		items.forEach((value: unknown, id: string) => {
			const item = value instanceof Y.Map ? one(id, value as Map) : null;
			if (item) found.push(item);
		});
	}
	return found;
}

function fragment(map: Map, key: string): Y.XmlFragment | null {
	const value = map.get(key);
	return value instanceof Y.XmlFragment ? value : null;
}

function string(map: Map, key: string, otherwise = ''): string {
	const value = map.get(key);
	return typeof value === 'string' ? value : otherwise;
}

function byId(a: { id: string }, b: { id: string }): number {
	return a.id === b.id ? 0 : a.id < b.id ? -1 : 1;
}
