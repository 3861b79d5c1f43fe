// What is said when a comment does not get through.

import { m } from '$lib/paraglide/messages';
import { ApiError, problemWords } from '$lib/api/problem';

export const BODY_MAX = 4_000;

export function commentProblem(error: unknown): string {
	if (error instanceof ApiError) {
		switch (error.what) {
			case 'anchor-gone':
			case 'anchor-forged':
				return m.comment_error_anchor_gone();
			case 'thread-resolved':
				return m.comment_error_resolved();
			case 'mention-without-access':
				return m.comment_error_mention();
			case 'too-long':
				return m.comment_error_long({ max: BODY_MAX });
			case 'proposal-taken':
				return m.comment_error_proposal_taken();
			case 'anchor-changed':
				return m.comment_error_anchor_changed();
			case 'conflict':
				return m.comment_error_conflict();
		}
		if (error.kind === 'offline') return m.comment_error_offline();
	}
	const { title, what } = problemWords(error);
	return `${title} ${what}`;
}
