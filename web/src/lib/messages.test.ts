import { expect, test } from 'vitest';
import da from '../../messages/da.json';
import en from '../../messages/en.json';

test('both languages have the same messages, none of them empty', () => {
	expect(Object.keys(en).sort()).toEqual(Object.keys(da).sort());
	const empty = [...Object.entries(da), ...Object.entries(en)].filter(([, words]) => words.length === 0);
	expect(empty).toEqual([]);
});
