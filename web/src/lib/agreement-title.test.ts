import { expect, test } from 'vitest';
import { withoutUnit } from './agreement-title';

test('the unit is left out of a title that ends with it, and only then', () => {
	expect(withoutUnit('Aftale 2027 – Fjordskolen', 'Fjordskolen')).toBe('Aftale 2027');
	expect(withoutUnit('Aftale 2027', 'Fjordskolen')).toBe('Aftale 2027');
	expect(withoutUnit('Fjordskolen', 'Fjordskolen')).toBe('Fjordskolen');
});
