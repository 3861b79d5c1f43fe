import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Announcer, type Level, type Words } from './announce';

const words: Words = {
	joined: (name) => `${name} joined`,
	left: (name) => `${name} left`,
	wrote: (name, others, place) => `${name}${others ? `+${others}` : ''} writes in ${place}`,
	lost: () => 'lost',
	back: () => 'back',
	unsaved: () => 'unsaved',
	savedAgain: () => 'saved',
	status: (status) => status
};

let said: string[];
let level: Level;
let announcer: Announcer;
beforeEach(() => {
	vi.useFakeTimers();
	said = [];
	level = 'short';
	announcer = new Announcer(
		() => level,
		words,
		(message) => said.push(message)
	);
});
afterEach(() => vi.useRealTimers());

test('forty words in my section make one message in ten seconds', () => {
	for (let word = 0; word < 40; word++) {
		announcer.happened({ kind: 'wrote', name: 'Esben', place: 'mål 1', here: true });
		vi.advanceTimersByTime(240);
	}
	expect(said).toEqual(['Esben writes in mål 1']);
	vi.advanceTimersByTime(500);
	announcer.happened({ kind: 'wrote', name: 'Esben', place: 'mål 1', here: true });
	expect(said).toHaveLength(2);
});

test('a second writer waits for the quiet time to end', () => {
	announcer.happened({ kind: 'wrote', name: 'Esben', place: 'mål 1', here: true });
	announcer.happened({ kind: 'wrote', name: 'Signe', place: 'mål 1', here: true });
	announcer.happened({ kind: 'wrote', name: 'Rasmus', place: 'mål 1', here: true });
	expect(said).toHaveLength(1);
	vi.advanceTimersByTime(10_000);
	expect(said[1]).toBe('Signe+1 writes in mål 1');
});

test('short is silent about other sections and about who leaves', () => {
	announcer.happened({ kind: 'wrote', name: 'Esben', place: 'mål 2', here: false });
	announcer.happened({ kind: 'left', name: 'Esben' });
	expect(said).toEqual([]);
	announcer.happened({ kind: 'joined', name: 'Esben' });
	expect(said).toEqual(['Esben joined']);
});

test('off is silent about others but not about the connection', () => {
	level = 'off';
	announcer.happened({ kind: 'joined', name: 'Esben' });
	announcer.happened({ kind: 'lost' });
	vi.advanceTimersByTime(2_000);
	announcer.happened({ kind: 'back' });
	expect(said).toEqual(['lost', 'back']);
});

test('lost and regained are said once each, a flicker not at all', () => {
	announcer.happened({ kind: 'lost' });
	announcer.happened({ kind: 'back' });
	vi.advanceTimersByTime(5_000);
	expect(said).toEqual([]);
	announcer.happened({ kind: 'lost' });
	announcer.happened({ kind: 'lost' });
	vi.advanceTimersByTime(5_000);
	announcer.happened({ kind: 'lost' });
	announcer.happened({ kind: 'back' });
	announcer.happened({ kind: 'back' });
	expect(said).toEqual(['lost', 'back']);
});
