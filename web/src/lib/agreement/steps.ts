// The steps of an agreement's life that a page takes part in: what each asks the server, and what a refusal means in words.

import { m } from '$lib/paraglide/messages';
import { post } from '$lib/api/client';
import { ApiError } from '$lib/api/problem';
import type { AgreementVersion } from '$lib/protocol/AgreementVersion';
import type { Revision } from '$lib/protocol/Revision';

/** Which question is being asked. */
export type Step = 'freeze' | 'override' | 'reopen' | 'renew';

/** The place on an agreement's page that asks why it is sent back: where the page of its signatures leads. */
export const SEND_BACK = 'tag-tilbage';

const REASON_MIN = 10;
const REASON_MAX = 2_000;

/** What is wrong with these words as a reason; `null`: nothing. Characters are counted as the server counts them. */
export function reasonProblem(words: string): string | null {
	const chars = [...words.trim()].length;
	if (chars < REASON_MIN) return m.step_reason_short({ chars });
	return chars > REASON_MAX ? m.step_reason_long() : null;
}

export function freeze(documentId: string, overrideDialogue: string | null): Promise<Revision> {
	return post(`/api/documents/${documentId}/freeze`, { override_dialogue: overrideDialogue });
}

export async function reopen(documentId: string, reason: string): Promise<void> {
	await post(`/api/documents/${documentId}/reopen`, { reason });
}

export function renew(documentId: string): Promise<AgreementVersion> {
	return post(`/api/documents/${documentId}/new-version`, {});
}

/** Why a step was not taken. */
export function refusedWords(error: unknown): string {
	switch (error instanceof ApiError ? error.what : '') {
		case 'text-moved':
			return m.step_failed_moved();
		case 'not-in-place':
			return m.step_failed_missing();
		case 'wrong-status':
			return m.step_failed_status();
		case 'text-differs':
			return m.step_failed_differs();
		default:
			return m.step_failed();
	}
}
