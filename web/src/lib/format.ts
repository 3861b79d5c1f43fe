// Dates, times and numbers as people write them. Moments are shown in Danish time, wherever the browser is.

import { m } from '$lib/paraglide/messages';
import { getLocale } from '$lib/paraglide/runtime';

const ZONE = 'Europe/Copenhagen';
const DAY = 24 * 60 * 60 * 1000;

type Style = Intl.DateTimeFormatOptions;
const formats = new Map<string, Intl.DateTimeFormat>();

function tag(): string {
	return getLocale() === 'da' ? 'da-DK' : 'en-GB';
}

function format(at: Date, style: Style): string {
	const key = tag() + JSON.stringify(style);
	let made = formats.get(key);
	if (!made) formats.set(key, (made = new Intl.DateTimeFormat(tag(), { timeZone: ZONE, ...style })));
	// The day's number stays with its month.
	return made.format(at).replace(/(\d{1,2}\.?) (?=\p{L})/gu, '$1\u00a0');
}

/** Takes a day (`2027-01-29`) as noon, so that no time zone moves it, and a moment as it is. */
function moment(on: string | Date): Date {
	if (on instanceof Date) return on;
	return new Date(/^\d{4}-\d{2}-\d{2}$/.test(on) ? `${on}T12:00:00Z` : on);
}

/** Made once: making one takes longer than a hundred days. */
const isoFormat = new Intl.DateTimeFormat('en-CA', { timeZone: ZONE, year: 'numeric', month: '2-digit', day: '2-digit' });

/** `2026-11-23` in Danish time. */
export function isoDay(at: string | Date): string {
	return isoFormat.format(moment(at));
}

/** How many days from `now` to `on`: 0 today, -1 yesterday. */
export function daysUntil(on: string | Date, now: Date): number {
	return Math.round((Date.parse(isoDay(on)) - Date.parse(isoDay(now))) / DAY);
}

/** *fredag den 29. januar 2027*, or without the year. */
export function longDay(on: string | Date, year = true): string {
	const at = moment(on);
	const words = format(at, { weekday: 'long', day: 'numeric', month: 'long', ...(year ? { year: 'numeric' } : {}) });
	// Some versions of ICU leave out the Danish den.
	if (getLocale() === 'da' && !/\bden\b/.test(words)) return words.replace(/^(\p{L}+),? /u, '$1 den ');
	return words.replace(/^(\p{L}+), /u, '$1 ');
}

/** *1. februar 2027*. */
export function dayOnly(on: string | Date, year = true): string {
	return format(moment(on), { day: 'numeric', month: 'long', ...(year ? { year: 'numeric' } : {}) });
}

/** *29. jan.* */
export function shortDay(on: string | Date): string {
	return format(moment(on), { day: 'numeric', month: 'short' });
}

/** *aug.* */
export function shortMonth(on: string | Date): string {
	return format(moment(on), { month: 'short' });
}

export function monthAndYear(on: string | Date): string {
	return format(moment(on), { month: 'long', year: 'numeric' });
}

/** *14.00*. */
export function time(at: string | Date): string {
	const text = format(moment(at), { hour: 'numeric', minute: '2-digit' });
	return getLocale() === 'da' ? text.replace(':', '.') : text;
}

/** *i dag*, *i går*, *i morgen*, the weekday within a week, then the date; the year only when it is another. */
export function nearDay(on: string | Date, now: Date): string {
	const days = daysUntil(on, now);
	if (days === 0) return m.today();
	if (days === -1) return m.yesterday();
	if (days === 1) return m.tomorrow();
	if (days > -7 && days < 0) return format(moment(on), { weekday: 'long' });
	return longDay(on, !sameYear(on, now));
}

/** *i dag kl. 13.26*. */
export function nearMoment(at: string, now: Date): string {
	const days = daysUntil(at, now);
	const day = days > -7 && days <= 1 ? nearDay(at, now) : shortDay(at) + (sameYear(at, now) ? '' : ' ' + isoDay(at).slice(0, 4));
	return m.day_at_time({ day, time: time(at) });
}

export function sameYear(on: string | Date, now: Date): boolean {
	return isoDay(on).slice(0, 4) === isoDay(now).slice(0, 4);
}

export function capital(words: string): string {
	return words.charAt(0).toLocaleUpperCase(tag()) + words.slice(1);
}

/** *Aftale 2027* inside a Danish sentence: *aftale 2027*. Titles of people likewise. */
export function inSentence(words: string): string {
	if (/^\p{Lu}{2}/u.test(words)) return words;
	return words.charAt(0).toLocaleLowerCase('da-DK') + words.slice(1);
}

/** A decimal as the wire has it (`5.8`), in the reader's form (`5,8`). What is no number stays as it is. */
export function decimal(value: string | number): string {
	const number = typeof value === 'number' ? value : Number(value);
	if (value === '' || !Number.isFinite(number)) return String(value);
	return new Intl.NumberFormat(tag(), { maximumFractionDigits: 6 }).format(number);
}

/**
 * What somebody typed, as the wire wants it; `null` when it is no number. Both comma and full stop are taken; three figures after a
 * full stop are thousands to a Dane (*1.234*).
 */
export function typedDecimal(text: string): string | null {
	const plain = text.trim().replace(/\s|\u00a0/g, '').replace(/−/g, '-');
	if (plain === '') return '';
	const thousands = /^-?\d{1,3}(\.\d{3})+$/.test(plain) && tag() === 'da-DK';
	const normal = thousands || /,\d*$/.test(plain) ? plain.replace(/\./g, '').replace(',', '.') : plain;
	return /^-?\d+(\.\d+)?$/.test(normal) ? normal : null;
}

/** *41,2 mio. kr.*, or *850.000 kr.*: never rounded, for the same amount stands in the text that is signed. */
export function kroner(amount: number): string {
	if (Math.abs(amount) >= 1_000_000 && amount % 10_000 === 0) {
		const millions = new Intl.NumberFormat(tag(), { maximumFractionDigits: 2 }).format(amount / 1_000_000);
		return m.doc_million({ number: millions });
	}
	return m.doc_kroner({ number: new Intl.NumberFormat(tag()).format(amount) });
}

/** *Esben, Signe og Rasmus*. */
export function list(words: string[]): string {
	return new Intl.ListFormat(tag(), { type: 'conjunction' }).format(words);
}

export function firstName(name: string): string {
	return name.split(' ')[0] ?? name;
}

/** To, Tre … at the head of a sentence; figures from seven. */
export function countWord(count: number): string {
	switch (count) {
		case 2:
			return m.number_2();
		case 3:
			return m.number_3();
		case 4:
			return m.number_4();
		case 5:
			return m.number_5();
		case 6:
			return m.number_6();
		default:
			return String(count);
	}
}
