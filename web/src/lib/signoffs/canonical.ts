// The frozen bytes that are signed: hashed here, before anything of them is shown, and read as the canonical JSON that they are.

import { dayOnly } from '$lib/format';
import { getLocale } from '$lib/paraglide/runtime';

export type Mark = { type: 'strong' | 'em' } | { type: 'link'; attrs: { href: string } };
export type Node =
	| { type: 'text'; text: string; marks: Mark[] }
	| { type: string; attrs: Record<string, number>; content: Node[] };

export type Action = { id: string; text: Node[]; responsible: Node[]; due: string };
export type Indicator = {
	id: string;
	name: Node[];
	source: Node[];
	unit: string;
	direction: string;
	frequency: string;
	baseline: string;
	target: string;
};
export type Link = { id: string; target: string; relation: string; reason: Node[] };
export type Goal = {
	id: string;
	title: Node[];
	body: Node[];
	success: Node[];
	responsible: Node[];
	origin: string;
	due: string;
	actions: Action[];
	indicators: Indicator[];
	links: Link[];
};
export type Content = { schema: number; template: string; sections: Record<string, Node[]>; goals: Goal[] };

/** What was fetched, and the hash that this browser made of it. */
export type Frozen = { content: Content; sha256: string };

export async function sha256(bytes: ArrayBuffer): Promise<string> {
	const digest = await crypto.subtle.digest('SHA-256', bytes);
	return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The bytes as they came: the hash is of them, and what is shown is read from them and nothing else. */
export async function readFrozen(bytes: ArrayBuffer): Promise<Frozen> {
	const hash = await sha256(bytes);
	return { content: JSON.parse(new TextDecoder().decode(bytes)) as Content, sha256: hash };
}

/** *7f3a 91c4 0be2 58d7*: enough to compare by eye. */
export function shortHash(sha256: string, groups = 4): string {
	return (sha256.match(/.{4}/g) ?? []).slice(0, groups).join(' ');
}

/** A day that somebody picked, *1. juni 2027*; what is no day is signed, and shown, as it stands. */
export function pickedDay(text: string): string {
	const at = new Date(`${text}T12:00:00Z`);
	const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
	return isDay ? dayOnly(text) : text;
}

/** Every digit that is signed, with the reader's comma; what is no number stands as it is. */
export function exactDecimal(text: string): string {
	return /^-?\d+(\.\d+)?$/.test(text) && getLocale() === 'da' ? text.replace('.', ',').replace('-', '−') : text;
}

export function plain(nodes: readonly Node[]): string {
	return nodes.map((node) => ('text' in node ? node.text : plain(node.content))).join('');
}

export function isEmpty(nodes: readonly Node[] | undefined): boolean {
	return !nodes || plain(nodes).trim() === '';
}

/** Only addresses that the schema knows lead anywhere. */
export function isLink(href: string): boolean {
	return /^(https:\/\/|mailto:)/i.test(href);
}
