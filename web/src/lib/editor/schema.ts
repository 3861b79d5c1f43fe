/**
 * Schema version 1 of what people write. y-prosemirror deletes what a schema does not allow, so this one allows more than the page
 * offers: whatever two people can make together must stand. What a title or a line should not hold, the keys and the paste refuse.
 */
import { Schema, type MarkSpec, type NodeSpec } from 'prosemirror-model';
import { tableNodes } from 'prosemirror-tables';

export type FragmentKind = 'section' | 'title' | 'body' | 'list' | 'line';

const HEADING_LEVELS = [2, 3, 4] as const;
export type HeadingLevel = (typeof HEADING_LEVELS)[number];

const nodes: Record<string, NodeSpec> = {
	doc: { content: 'block+' },
	paragraph: { group: 'block', content: 'inline*', parseDOM: [{ tag: 'p' }], toDOM: () => ['p', 0] },
	heading: {
		group: 'block',
		content: 'inline*',
		defining: true,
		attrs: { level: { default: 2 } },
		parseDOM: [1, 2, 3, 4, 5, 6].map((level) => ({
			tag: `h${level}`,
			getAttrs: (dom) => ({ level: clampLevel(Number((dom as HTMLElement).dataset.level ?? level)) })
		})),
		// The section's own title is the page's h2, so a heading in its text stands one deeper.
		toDOM: (node) => [`h${clampLevel(Number(node.attrs.level)) + 1}`, { 'data-level': String(node.attrs.level) }, 0]
	},
	bullet_list: { group: 'block', content: 'list_item+', parseDOM: [{ tag: 'ul' }], toDOM: () => ['ul', 0] },
	ordered_list: { group: 'block', content: 'list_item+', parseDOM: [{ tag: 'ol' }], toDOM: () => ['ol', 0] },
	list_item: { content: 'block+', defining: true, parseDOM: [{ tag: 'li' }], toDOM: () => ['li', 0] },
	...tableNodes({ tableGroup: 'block', cellContent: '(paragraph | heading | bullet_list | ordered_list)+', cellAttributes: {} }),
	text: { group: 'inline' },
	hard_break: {
		group: 'inline',
		inline: true,
		selectable: false,
		parseDOM: [{ tag: 'br' }],
		toDOM: () => ['br'],
		leafText: () => '\n'
	}
};

const marks: Record<string, MarkSpec> = {
	link: {
		attrs: { href: { validate: 'string' } },
		inclusive: false,
		parseDOM: [
			{
				tag: 'a[href]',
				getAttrs: (dom) => {
					const href = allowedHref((dom as HTMLElement).getAttribute('href') ?? '');
					return href ? { href } : false;
				}
			}
		],
		// A link that somebody else's client let through is shown as text.
		toDOM: (mark) => {
			const href = allowedHref(mark.attrs.href);
			return href ? ['a', { href, rel: 'noopener noreferrer nofollow', target: '_blank' }, 0] : ['span', 0];
		}
	},
	em: {
		parseDOM: [
			{ tag: 'i' },
			{ tag: 'em' },
			{ style: 'font-style=italic' },
			{ style: 'font-style=normal', clearMark: (mark) => mark.type.name === 'em' }
		],
		toDOM: () => ['em', 0]
	},
	strong: {
		parseDOM: [
			{ tag: 'strong' },
			// Google Docs wraps everything in a bold that is not bold.
			{ tag: 'b', getAttrs: (dom) => ((dom as HTMLElement).style.fontWeight === 'normal' ? false : null) },
			{ style: 'font-weight=400', clearMark: (mark) => mark.type.name === 'strong' },
			{ style: 'font-weight=normal', clearMark: (mark) => mark.type.name === 'strong' },
			{ style: 'font-weight', getAttrs: (value) => (/^(bold(er)?|[6-9]\d{2})$/.test(value as string) ? null : false) }
		],
		toDOM: () => ['strong', 0]
	}
};

export const sectionSchema = new Schema({ nodes, marks });

/** `https:` and `mailto:` alone; what looks like an address without a scheme gets one. `null`: not a link. */
export function allowedHref(text: unknown): string | null {
	if (typeof text !== 'string') return null;
	const trimmed = text.trim();
	if (/^(https:\/\/|mailto:)\S+$/i.test(trimmed)) return trimmed;
	if (/^[^\s@:/]+@[^\s@:/]+\.[^\s@:/]+$/.test(trimmed)) return `mailto:${trimmed}`;
	if (/^(www\.)?[a-z0-9æøå-]+(\.[a-z0-9æøå-]+)+([/?#]\S*)?$/i.test(trimmed)) return `https://${trimmed}`;
	return null;
}

function clampLevel(level: number): number {
	return Math.min(4, Math.max(2, level || 2));
}

/** May this kind hold more than one plain line? */
export function isRich(kind: FragmentKind): boolean {
	return kind === 'section' || kind === 'body';
}
