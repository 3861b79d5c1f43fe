import { beforeEach, expect, test } from 'vitest';
import { overwriteGetLocale } from '$lib/paraglide/runtime';
import { capital, daysUntil, decimal, inSentence, kroner, longDay, nearDay, nearMoment, shortDay, time, typedDecimal } from './format';

const now = new Date('2026-11-23T13:30:00+01:00');
beforeEach(() => overwriteGetLocale(() => 'da'));

test('days and times have the Danish form', () => {
	expect(longDay('2027-01-29')).toBe('fredag den 29.\u00a0januar 2027');
	expect(shortDay('2027-01-29')).toBe('29.\u00a0jan.');
	expect(time('2026-11-23T13:00:00Z')).toBe('14.00');
	expect(capital(longDay(now, false))).toBe('Mandag den 23.\u00a0november');
});

test('a day near now is said as people say it', () => {
	expect(nearDay('2026-11-23', now)).toBe('i dag');
	expect(nearDay('2026-11-22', now)).toBe('i går');
	expect(nearDay('2026-11-24', now)).toBe('i morgen');
	expect(nearDay('2026-11-21', now)).toBe('lørdag');
	expect(nearDay('2026-11-12', now)).toBe('torsdag den 12.\u00a0november');
	expect(nearMoment('2026-11-23T13:26:00+01:00', now)).toBe('i dag kl.\u00a013.26');
	expect(nearMoment('2026-11-12T15:30:00+01:00', now)).toBe('12.\u00a0nov. kl.\u00a015.30');
});

test('a day is counted in Danish time, not in that of the browser', () => {
	expect(daysUntil('2026-11-23T23:30:00Z', now)).toBe(1);
	expect(daysUntil('2026-11-22T23:30:00Z', now)).toBe(0);
});

test('numbers have a decimal comma, and both comma and full stop are understood', () => {
	expect(decimal('5.8')).toBe('5,8');
	expect(kroner(41200000)).toBe('41,2\u00a0mio.\u00a0kr.');
	expect(kroner(6950000)).toBe('6,95\u00a0mio.\u00a0kr.');
	expect(kroner(6955500)).toBe('6.955.500\u00a0kr.');
	expect(kroner(850000)).toBe('850.000\u00a0kr.');
	expect(typedDecimal('5,8')).toBe('5.8');
	expect(typedDecimal('5.8')).toBe('5.8');
	expect(typedDecimal('1.250,5')).toBe('1250.5');
	expect(typedDecimal('1.234')).toBe('1234');
	expect(typedDecimal('61.000')).toBe('61000');
	expect(typedDecimal('1.23')).toBe('1.23');
	expect(typedDecimal('ti')).toBeNull();
});

test('in a sentence a title begins small, an abbreviation does not', () => {
	expect(inSentence('Aftale 2027')).toBe('aftale 2027');
	expect(inSentence('HR-chef')).toBe('HR-chef');
});

test('English has its own form', () => {
	overwriteGetLocale(() => 'en');
	expect(longDay('2027-01-29')).toBe('Friday 29\u00a0January 2027');
	expect(decimal('5.8')).toBe('5.8');
	expect(typedDecimal('1.234')).toBe('1.234');
});
