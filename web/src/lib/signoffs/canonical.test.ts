import { describe, expect, it } from 'vitest';
import { exactDecimal, isEmpty, isLink, pickedDay, plain, readFrozen, shortHash } from './canonical';

const bytes = (text: string): ArrayBuffer => new TextEncoder().encode(text).buffer as ArrayBuffer;

describe('the frozen bytes', () => {
	it('are hashed as they came, not as they would be written again', async () => {
		const one = await readFrozen(bytes('{"goals":[],"schema":1,"sections":{},"template":"t"}'));
		const other = await readFrozen(bytes('{"goals":[],"schema":1,"sections":{}, "template":"t"}'));
		expect(one.sha256).toMatch(/^[0-9a-f]{64}$/);
		expect(other.sha256).not.toBe(one.sha256);
		expect(other.content).toEqual(one.content);
	});

	it('are hashed as everybody else hashes them', async () => {
		const { sha256 } = await readFrozen(bytes('{}'));
		expect(sha256).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
		expect(shortHash(sha256)).toBe('4413 6fa3 55b3 678a');
	});
});

describe('nodes', () => {
	it('say their words, and whether there are any', () => {
		const nodes = [{ type: 'paragraph', attrs: {}, content: [{ type: 'text' as const, text: 'Børn ', marks: [] }, { type: 'hard_break', attrs: {}, content: [] }] }];
		expect(plain(nodes)).toBe('Børn ');
		expect(isEmpty(nodes)).toBe(false);
		expect(isEmpty([{ type: 'paragraph', attrs: {}, content: [] }])).toBe(true);
		expect(isEmpty(undefined)).toBe(true);
	});

	it('lead only where the schema allows', () => {
		expect(['https://a.dk', 'mailto:a@b.dk', 'javascript:alert(1)', 'http://a.dk', ' https://a.dk'].map(isLink)).toEqual([true, true, false, false, false]);
	});
});

describe('what is picked', () => {
	it('is shown to the last digit that is signed, and as it stands where it is no number', () => {
		for (const [signed, shown] of [
			['5.8', '5,8'],
			['-0.12345678', '−0,12345678'],
			['1234567890123456789', '1234567890123456789'],
			['0x10', '0x10'],
			['1e3', '1e3'],
			[' ', ' '],
			['', '']
		] as const) {
			expect(exactDecimal(signed)).toBe(shown);
		}
	});

	it('is a day where it is one, and words where it is none', () => {
		for (const [signed, shown] of [
			['2027-06-01', '1.\u00a0juni 2027'],
			['2027-02-31', '2027-02-31'],
			['2027-13-01', '2027-13-01'],
			['når vi når det', 'når vi når det'],
			['', '']
		] as const) {
			expect(pickedDay(signed)).toBe(shown);
		}
	});
});
