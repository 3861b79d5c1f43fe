import { describe, expect, test } from 'vitest';
import { reasonProblem } from './steps';

describe('a reason', () => {
	test('has ten characters or more, as people count them', () => {
		for (const words of ['', 'For få b', '         x         ', 'For få bi']) expect(reasonProblem(words), words).not.toBeNull();
		for (const words of ['For få bil', '👩🏽‍🏫 for få', ' For få biler ']) expect(reasonProblem(words), words).toBeNull();
	});

	test('is no document of its own', () => {
		expect(reasonProblem('å'.repeat(2_000))).toBeNull();
		expect(reasonProblem('å'.repeat(2_001))).not.toBeNull();
	});
});
