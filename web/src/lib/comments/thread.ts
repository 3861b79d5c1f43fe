// A thread, as the server gives it, and what the page reads out of it.

import type { Thread } from '$lib/protocol/Thread';

export type { Comment } from '$lib/protocol/Comment';
export type { Thread } from '$lib/protocol/Thread';

export type Filter = 'open' | 'mine' | 'mentions' | 'meeting' | 'resolved' | 'detached';
export const FILTERS: readonly Filter[] = ['open', 'mine', 'mentions', 'meeting', 'resolved', 'detached'];

export function isIn(filter: Filter, thread: Thread): boolean {
	const open = thread.state === 'open';
	switch (filter) {
		case 'open':
			return open;
		case 'mine':
			return open && thread.mine;
		case 'mentions':
			return open && thread.mentions_me;
		case 'meeting':
			return open && thread.for_meeting;
		case 'resolved':
			return !open;
		case 'detached':
			return open && isDetached(thread);
	}
}

/** Its words are gone from the text. */
export function isDetached(thread: Thread): boolean {
	return thread.about.kind === 'words' && thread.anchor === null;
}

/** Nothing about it has changed. */
export function isSame(one: Thread, other: Thread): boolean {
	return one === other || JSON.stringify(one) === JSON.stringify(other);
}
