// Small things about plain text.

/** For comparing what somebody types with what stands: no case, no accents other than the Danish letters. */
export function fold(text: string): string {
	return text
		.toLocaleLowerCase('da-DK')
		.replace(/[^æøåÆØÅ]+/gu, (rest) => rest.normalize('NFD').replace(/\p{M}/gu, ''))
		.replace(/[»«"'’“”.,:;]/g, '');
}

/** Minutes to read so many words, for a grown-up reader at ease. */
export function readingMinutes(words: number): number {
	return Math.max(1, Math.round(words / 200));
}

export function countWords(text: string): number {
	return text.split(/\s+/u).filter(Boolean).length;
}
