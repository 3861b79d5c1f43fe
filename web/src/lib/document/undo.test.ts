import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { addAction, addGoal, readGoals, removeGoal, setActionDue } from './goals';
import { pageUndo } from './undo';

/** A document in which somebody else has made a goal, and mine beside it with a history of its own. */
function besideAnother() {
	const theirs = new Y.Doc();
	const goal = addGoal(theirs, 'local');
	const mine = new Y.Doc();
	Y.applyUpdate(mine, Y.encodeStateAsUpdate(theirs));
	const undo = pageUndo(mine, (client) => client === mine.clientID);
	return { theirs, mine, goal, undo };
}

test('what I add to a goal that somebody else made is undone, and the goal stays', () => {
	const { mine, goal, undo } = besideAnother();
	const action = addAction(mine, goal);
	undo.stopCapturing();
	setActionDue(mine, goal, action, '2027-02-01');
	undo.undo();
	expect(readGoals(mine)[0]?.actions[0]?.due).toBeNull();
	undo.undo();
	expect(readGoals(mine)).toHaveLength(1);
	expect(readGoals(mine)[0]?.actions).toHaveLength(0);
	undo.redo();
	expect(readGoals(mine)[0]?.actions).toHaveLength(1);
});

test('a goal of mine in which somebody else has added an action stays whole when I undo making it', () => {
	const { theirs, mine, undo } = besideAnother();
	const goal = addGoal(mine, 'political');
	Y.applyUpdate(theirs, Y.encodeStateAsUpdate(mine));
	addAction(theirs, goal);
	Y.applyUpdate(mine, Y.encodeStateAsUpdate(theirs));
	undo.undo();
	const kept = readGoals(mine).find(({ id }) => id === goal);
	expect(kept?.origin).toBe('political');
	expect(kept?.actions).toHaveLength(1);
});

test('a goal that I deleted comes back with everything in it', () => {
	const { mine, goal, undo } = besideAnother();
	removeGoal(mine, goal);
	expect(readGoals(mine)).toHaveLength(0);
	undo.undo();
	expect(readGoals(mine)[0]?.id).toBe(goal);
});
