// What the server says when it says no, and what we say to people about it.

import { m } from '$lib/paraglide/messages';
import type { Problem } from '$lib/protocol/Problem';

export type ProblemKind =
	| 'not-found'
	| 'forbidden'
	| 'signed-out'
	| 'too-large'
	| 'unavailable'
	| 'invalid'
	| 'offline'
	| 'unexpected';

const KINDS: readonly string[] = ['not-found', 'forbidden', 'signed-out', 'too-large', 'unavailable', 'invalid'];

/** An answer that was not the one hoped for. `requestId` is what support asks for. */
export class ApiError extends Error {
	constructor(
		readonly kind: ProblemKind,
		readonly status: number,
		readonly requestId: string | null,
		/** The stable name of what is wrong, without `/problems/`, for what only one page can say in words. */
		readonly what: string = ''
	) {
		super(kind);
	}
}

/** The server's answer as an error: by its stable type first, by its status where the type is missing or new. */
export function problemOf(status: number, body: Partial<Problem> | null): ApiError {
	const name = body?.type?.startsWith('/problems/') ? body.type.slice('/problems/'.length) : '';
	const kind = KINDS.includes(name) ? (name as ProblemKind) : kindOfStatus(status);
	return new ApiError(kind, status, body?.request_id ?? null, name);
}

function kindOfStatus(status: number): ProblemKind {
	if (status === 401) return 'signed-out';
	if (status === 403) return 'forbidden';
	if (status === 404 || status === 410) return 'not-found';
	if (status === 413) return 'too-large';
	if (status === 429 || status >= 500) return 'unavailable';
	if (status >= 400) return 'invalid';
	return 'unexpected';
}

export function problemWords(error: unknown): { title: string; what: string; requestId: string | null; kind: ProblemKind } {
	const known = error instanceof ApiError ? error : new ApiError('unexpected', 0, null);
	const [title, what] = words(known.kind);
	return { title, what, requestId: known.requestId, kind: known.kind };
}

function words(kind: ProblemKind): [string, string] {
	switch (kind) {
		case 'not-found':
			return [m.error_not_found(), m.error_not_found_what()];
		case 'forbidden':
			return [m.error_forbidden(), m.error_forbidden_what()];
		case 'signed-out':
			return [m.error_signed_out(), m.error_signed_out_what()];
		case 'too-large':
			return [m.error_too_large(), m.error_too_large_what()];
		case 'unavailable':
			return [m.error_unavailable(), m.error_unavailable_what()];
		case 'invalid':
			return [m.error_invalid(), m.error_invalid_what()];
		case 'offline':
			return [m.error_offline(), m.error_offline_what()];
		case 'unexpected':
			return [m.error_unexpected(), m.error_unexpected_what()];
	}
}
