export interface Piece {
	readonly words: string;
	readonly href?: string;
	readonly name?: boolean;
}

/** Cuts a comment into plain words, web and mail addresses, and the names of those who are mentioned. */
export function pieces(body: string, names: readonly string[]): Piece[] {
	const escaped = [...names].sort((one, other) => other.length - one.length).map((name) => `@${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}`);
	const found = new RegExp([...escaped, 'https://[^\\s<>"]+[^\\s<>".,;:!?)]', '[\\w.+-]+@[\\w-]+(?:\\.[\\w-]+)+'].join('|'), 'gu');
	const parts: Piece[] = [];
	let at = 0;
	for (const match of body.matchAll(found)) {
		if (match.index > at) parts.push({ words: body.slice(at, match.index) });
		const words = match[0];
		if (words.startsWith('@')) parts.push({ words, name: true });
		else parts.push({ words, href: words.startsWith('https://') ? words : `mailto:${words}` });
		at = match.index + words.length;
	}
	if (at < body.length) parts.push({ words: body.slice(at) });
	return parts;
}
