import { expect, test } from 'vitest';
import { pieces } from './pieces';

test('addresses become links, names are marked, and nothing else is', () => {
	expect(pieces('Se https://klitfjord.example/a. Hilsen @Esben Opdigtsen', ['Esben Opdigtsen'])).toEqual([
		{ words: 'Se ' },
		{ words: 'https://klitfjord.example/a', href: 'https://klitfjord.example/a' },
		{ words: '. Hilsen ' },
		{ words: '@Esben Opdigtsen', name: true }
	]);
	expect(pieces('<img src=x onerror=alert(1)> javascript:alert(1) http://x.dk', [])).toEqual([
		{ words: '<img src=x onerror=alert(1)> javascript:alert(1) http://x.dk' }
	]);
	expect(pieces('a.b@c.dk', [])).toEqual([{ words: 'a.b@c.dk', href: 'mailto:a.b@c.dk' }]);
});

test('no word is lost', () => {
	const body = 'Æ @Ida Test (IT) https://a.dk/x?y=1&z=2, og b@c.dk!\n\nÅ';
	expect(pieces(body, ['Ida Test (IT)']).map(({ words }) => words).join('')).toBe(body);
});
