import { describe, expect, test } from 'vitest';
import { initialSaveState, nextTickMs, reduce, type SaveAction, type SaveState } from './state';

/** Actions with their moments; a bare number is a tick then. */
function after(...steps: (SaveAction | number)[]): SaveState {
	return steps.reduce<SaveState>((state, step) => reduce(state, typeof step === 'number' ? { type: 'tick', now: step } : step), initialSaveState);
}
const up = (now: number): SaveAction => ({ type: 'line', line: 'up', now });
const down = (now: number): SaveAction => ({ type: 'line', line: 'down', now });
const offline = (now: number): SaveAction => ({ type: 'line', line: 'offline', now });
const wrote = (now: number): SaveAction => ({ type: 'wrote', now });
const settled = (now: number): SaveAction => ({ type: 'settled', now });
const OPEN = [{ type: 'ready', now: 0 }, up(0)] as const;

describe('what the page says of my words', () => {
	test.each<[string, (SaveAction | number)[], string]>([
		['nothing is shown', [], 'loading'],
		['open, nothing typed', [...OPEN], 'saved'],
		['a quick save is not worth a word', [...OPEN, wrote(1000), 1300], 'saved'],
		['a slow one is', [...OPEN, wrote(1000), 1400], 'saving'],
		['G9: a second without an answer is said', [...OPEN, wrote(1000), 1400, 1960], 'unsaved server'],
		['typing on does not put it off', [...OPEN, wrote(1000), wrote(1900), 1960], 'unsaved server'],
		['saved only when all is settled', [...OPEN, wrote(1000), 1400, { type: 'progress', now: 1500 }], 'saving'],
		['and then at once', [...OPEN, wrote(1000), 1400, settled(1500)], 'saved'],
		['the server says it cannot save', [...OPEN, wrote(1000), { type: 'not_saving', now: 1010 }], 'unsaved server'],
		['and can again', [...OPEN, wrote(1000), { type: 'not_saving', now: 1010 }, settled(5000)], 'saved'],
		['a short break is not mentioned', [...OPEN, down(1000), 1500], 'saved'],
		['a longer one is, quietly, when nothing of mine is at stake', [...OPEN, down(1000), 1960], 'reconnecting'],
		['and loudly when something is', [...OPEN, down(1000), wrote(1100), 1960], 'unsaved network'],
		['no line, but the server answers: it is not the network', [...OPEN, down(1000), wrote(1100), { type: 'server_answers', now: 1200 }, 1960], 'unsaved server'],
		['offline without words of mine: no red', [...OPEN, offline(1000)], 'reconnecting'],
		['offline with words of mine: at once', [...OPEN, offline(1000), wrote(1001)], 'unsaved network'],
		['a loud word stays until the words are saved', [...OPEN, offline(1000), wrote(1001), down(5000), up(6000), 6100], 'unsaved network'],
		['and goes with them', [...OPEN, offline(1000), wrote(1001), down(5000), up(6000), settled(6200)], 'saved'],
		['begins anew', [...OPEN, wrote(1000), { type: 'loading', now: 1100 }], 'loading']
	])('%s', (_, steps, expected) => {
		const { status } = after(...steps);
		expect(status.kind === 'unsaved' ? `unsaved ${status.cause}` : status.kind).toBe(expected);
	});

	test('time alone changes it: the next moment is known', () => {
		expect(nextTickMs(after(...OPEN), 0)).toBe(null);
		expect(nextTickMs(after(...OPEN, wrote(1000)), 1000)).toBe(400);
		expect(nextTickMs(after(...OPEN, wrote(1000), 1400), 1400)).toBe(450);
		expect(nextTickMs(after(...OPEN, down(1000)), 1000)).toBe(850);
	});

	test('an unchanged status is the same value', () => {
		const before = after(...OPEN);
		expect(reduce(before, { type: 'tick', now: 9 }).status).toBe(before.status);
	});
});
