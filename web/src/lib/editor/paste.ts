/**
 * What comes in from Word, Google Docs and web pages: headings, lists, tables, strong, em and safe links stay, everything else becomes
 * plain words. The schema's parser does most of it; here the markup is first brought into a shape that it understands. Works on the
 * elements that ProseMirror has already read, so no HTML is parsed a second time.
 */
import { DOMParser, Fragment, Slice, type Node, type ParseOptions, type Schema } from 'prosemirror-model';
import type { FragmentKind } from './schema';

export class PasteParser extends DOMParser {
	static for(schema: Schema): PasteParser {
		return new PasteParser(schema, DOMParser.fromSchema(schema).rules);
	}

	override parseSlice(dom: globalThis.Node, options?: ParseOptions): Slice {
		if (dom.nodeType === 1 || dom.nodeType === 11) tidy(dom as Element);
		return super.parseSlice(dom, options);
	}
}

/** In place. */
export function tidy(root: ParentNode & globalThis.Node): void {
	removeComments(root);
	root.querySelectorAll('style, script, meta, link, title, xml, img, svg, picture, video, audio, iframe, object, input, button').forEach((element) =>
		element.remove()
	);
	root.querySelectorAll('p.MsoTitle').forEach((title) => rename(title, 'h2'));
	root.querySelectorAll('p.MsoSubtitle').forEach((title) => rename(title, 'h3'));
	unwrapInlines(root);
	listsFromWord(root);
	removeMarkers(root);
	nestLists(root);
	removeEmptyParagraphs(root);
}

function removeComments(root: globalThis.Node): void {
	const walker = root.ownerDocument!.createTreeWalker(root, 128);
	const comments: globalThis.Node[] = [];
	while (walker.nextNode()) comments.push(walker.currentNode);
	for (const comment of comments) comment.parentNode?.removeChild(comment);
}

/** Inline elements around whole blocks mean nothing (Google Docs has one around everything), and would turn the space between into words. */
function unwrapInlines(root: ParentNode): void {
	root.querySelectorAll('b, strong, i, em, u, span, font, a').forEach((inline) => {
		if (!inline.querySelector('p, h1, h2, h3, h4, h5, h6, ul, ol, table, div')) return;
		inline.replaceWith(...inline.childNodes);
	});
}

/** Word writes a list as paragraphs that say which list and level they belong to. */
function listsFromWord(root: ParentNode & globalThis.Node): void {
	for (const first of root.querySelectorAll('p')) {
		if (!root.contains(first) || levelOf(first) === 0) continue;
		const run: Element[] = [];
		for (let next: Element | null = first; next && levelOf(next) > 0; next = next.nextElementSibling) run.push(next);
		const lists = buildLists(run);
		first.before(...lists);
		run.forEach((paragraph) => paragraph.remove());
	}
}

function levelOf(element: Element): number {
	if (element.tagName !== 'P') return 0;
	const style = element.getAttribute('style') ?? '';
	const level = /mso-list:[^;"']*level(\d+)/i.exec(style)?.[1];
	if (level) return Number(level);
	const isListed = /MsoListParagraph/.test(element.className) && marker(element) !== null;
	return isListed ? 1 : 0;
}

function buildLists(run: readonly Element[]): HTMLElement[] {
	const roots: HTMLElement[] = [];
	const open: { level: number; list: HTMLElement }[] = [];
	for (const paragraph of run) {
		const level = levelOf(paragraph);
		const tag = isNumbered(paragraph) ? 'ol' : 'ul';
		while (open.length > 0 && open.at(-1)!.level > level) open.pop();
		const sameKind = open.at(-1)?.level === level && open.at(-1)!.list.tagName.toLowerCase() === tag;
		if (open.at(-1)?.level === level && !sameKind) open.pop();
		if (open.at(-1)?.level !== level) {
			const list = paragraph.ownerDocument.createElement(tag);
			const parentItem = open.at(-1)?.list.lastElementChild;
			if (parentItem) parentItem.append(list);
			else roots.push(list);
			open.push({ level, list });
		}
		const item = paragraph.ownerDocument.createElement('li');
		const words = paragraph.ownerDocument.createElement('p');
		marker(paragraph)?.remove();
		words.append(...paragraph.childNodes);
		item.append(words);
		open.at(-1)!.list.append(item);
	}
	return roots;
}

function isNumbered(paragraph: Element): boolean {
	return /^\s*(\d+|[a-zæøå]|[ivxlc]+)[.)]/i.test(marker(paragraph)?.textContent ?? '');
}

/** The sign before a list's words, as Word writes it. */
function marker(paragraph: Element): Element | null {
	return [...paragraph.querySelectorAll('span')].find((span) => /mso-list:\s*ignore/i.test(span.getAttribute('style') ?? '')) ?? null;
}

function removeMarkers(root: ParentNode): void {
	root.querySelectorAll('span').forEach((span) => {
		if (/mso-list:\s*ignore/i.test(span.getAttribute('style') ?? '')) span.remove();
	});
}

/** Google Docs puts an inner list beside its item, not in it. */
function nestLists(root: ParentNode): void {
	root.querySelectorAll('ul > ul, ul > ol, ol > ul, ol > ol').forEach((inner) => {
		const before = inner.previousElementSibling;
		if (before?.tagName === 'LI') before.append(inner);
	});
}

function removeEmptyParagraphs(root: ParentNode): void {
	root.querySelectorAll('p').forEach((paragraph) => {
		const empty = (paragraph.textContent ?? '').replaceAll('\u00a0', ' ').trim() === '';
		if (empty && !paragraph.querySelector('table') && !/^(LI|TD|TH)$/.test(paragraph.parentElement?.tagName ?? '')) paragraph.remove();
	});
}

function rename(element: Element, tag: string): void {
	const renamed = element.ownerDocument.createElement(tag);
	renamed.append(...element.childNodes);
	element.replaceWith(renamed);
}

/** What a title, a line or a list can hold of it. */
export function fitted(slice: Slice, kind: FragmentKind, schema: Schema): Slice {
	switch (kind) {
		case 'section':
		case 'body':
			return slice;
		case 'title':
		case 'line': {
			const words = slice.content.textBetween(0, slice.content.size, ' ', ' ').replace(/\s+/g, ' ').trim();
			if (!words) return Slice.empty;
			return new Slice(Fragment.from(schema.node('paragraph', null, schema.text(words))), 1, 1);
		}
		case 'list':
			return asItems(slice, schema);
	}
}

function asItems(slice: Slice, schema: Schema): Slice {
	const blocks: Node[] = [];
	slice.content.descendants((node) => {
		if (!node.isTextblock) return true;
		if (node.content.size > 0) blocks.push(schema.node('paragraph', null, node.content));
		return false;
	});
	if (blocks.length === 0) return slice.content.firstChild?.isInline ? slice : Slice.empty;
	if (blocks.length === 1) return new Slice(Fragment.from(blocks[0]!), 1, 1);
	const items = blocks.map((block) => schema.node('list_item', null, block));
	return new Slice(Fragment.from(schema.node('bullet_list', null, items)), 3, 3);
}
