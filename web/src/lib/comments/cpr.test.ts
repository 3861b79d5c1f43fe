import { expect, test } from 'vitest';
import { looksLikeCpr } from './cpr';

test.each(['010203-1234', 'Eleven 0102031234 er flyttet', '29 02: 290200 1234', '311299-0001.'])('%s reads like a CPR number', (words) => {
	expect(looksLikeCpr(words)).toBe(true);
});
test.each(['sag 2026-123456', '320103-1234', '011303-1234', '12345678901', '310426-1234 nej', 'tlf. 12 34 56 78', '5,8 procent'])('%s does not', (words) => {
	expect(looksLikeCpr(words)).toBe(false);
});
