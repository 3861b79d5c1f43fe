/** A number that reads like a CPR number: a date that exists and four digits. */
export function looksLikeCpr(words: string): boolean {
	for (const [, day, month] of words.matchAll(/(?<!\d)(\d{2})(\d{2})\d{2}[- ]?\d{4}(?!\d)/g)) {
		const [d, mo] = [Number(day), Number(month)];
		if (mo >= 1 && mo <= 12 && d >= 1 && d <= new Date(2024, mo, 0).getDate()) return true;
	}
	return false;
}
