/**
 * What the page says about my words: one read-only value and one `reduce`. It speaks of my own unsent words alone: *saved* only when
 * the server has said so, *unsaved* only when there is something of mine to lose. Pure: time comes with the action.
 */

export type SaveStatus =
	| { readonly kind: 'loading' }
	| { readonly kind: 'saved' }
	| { readonly kind: 'saving' }
	| { readonly kind: 'reconnecting' }
	| { readonly kind: 'unsaved'; readonly cause: 'network' | 'server' };

/** The line to the server: `up` from the first sync of a connection on. */
export type Line = 'up' | 'down' | 'offline';

export interface SaveState {
	readonly ready: boolean;
	readonly line: Line;
	/** When the line went down. */
	readonly downSince: number;
	/** When the oldest of my words that the server has not yet settled was written or, after a break, could first be sent again. */
	readonly waitingSince: number | null;
	/** The server has said that it cannot save. */
	readonly refusing: boolean;
	/** There is no line, yet the server answers: it is not the network. */
	readonly serverAnswers: boolean;
	readonly status: SaveStatus;
}

export type SaveAction =
	| { type: 'ready'; now: number }
	/** The document was thrown away and begins anew. */
	| { type: 'loading'; now: number }
	| { type: 'line'; line: Line; now: number }
	/** My words wait to be settled. */
	| { type: 'wrote'; now: number }
	/** The server settled some; others may still wait. */
	| { type: 'progress'; now: number }
	/** Nothing of mine waits. */
	| { type: 'settled'; now: number }
	/** The server answered that it cannot save at the moment. */
	| { type: 'not_saving'; now: number }
	/** It answers other questions while the line is down. */
	| { type: 'server_answers'; now: number }
	| { type: 'tick'; now: number };

/** Below this a save is not worth a word. */
export const SAVING_SHOWN_AFTER_MS = 400;
/** G9: when we cannot save, we say so within a second, drawing it included. */
export const NOT_SAVED_AFTER_MS = 850;
/** A line that comes back within this is not mentioned. */
export const RECONNECTING_SHOWN_AFTER_MS = 850;

export const initialSaveState: SaveState = {
	ready: false,
	line: 'down',
	downSince: 0,
	waitingSince: null,
	refusing: false,
	serverAnswers: false,
	status: { kind: 'loading' }
};

export function reduce(state: SaveState, action: SaveAction): SaveState {
	const next = step(state, action);
	const status = statusOf(next, action.now);
	return { ...next, status: same(status, state.status) ? state.status : status };
}

function step(state: SaveState, action: SaveAction): SaveState {
	switch (action.type) {
		case 'ready':
			return { ...state, ready: true };
		case 'loading':
			return { ...state, ready: false, line: 'down', downSince: action.now, waitingSince: null, refusing: false };
		case 'line':
			return withLine(state, action.line, action.now);
		case 'wrote':
			return { ...state, waitingSince: state.waitingSince ?? action.now };
		case 'progress':
			return { ...state, waitingSince: state.waitingSince === null ? null : action.now, refusing: false };
		case 'settled':
			return { ...state, waitingSince: null, refusing: false };
		case 'not_saving':
			return { ...state, refusing: true };
		case 'server_answers':
			return { ...state, serverAnswers: state.line === 'down' };
		case 'tick':
			return state;
	}
}

function withLine(state: SaveState, line: Line, now: number): SaveState {
	if (line === state.line) return state;
	const downSince = line === 'up' ? state.downSince : state.line === 'up' || line === 'offline' ? now : state.downSince;
	// Words from before the break are sent anew: their clock starts again.
	const waitingSince = state.waitingSince !== null && line === 'up' ? now : state.waitingSince;
	return { ...state, line, downSince, waitingSince, serverAnswers: line === 'down' && state.serverAnswers };
}

function statusOf(state: SaveState, now: number): SaveStatus {
	if (!state.ready) return { kind: 'loading' };
	if (state.waitingSince === null) return withNothingUnsent(state, now);
	if (state.refusing) return { kind: 'unsaved', cause: 'server' };
	if (state.line === 'offline') return { kind: 'unsaved', cause: 'network' };
	if (state.line === 'down') {
		if (now - state.downSince >= NOT_SAVED_AFTER_MS) return { kind: 'unsaved', cause: state.serverAnswers ? 'server' : 'network' };
		return stillSaving(state, now);
	}
	if (now - state.waitingSince >= NOT_SAVED_AFTER_MS) return { kind: 'unsaved', cause: 'server' };
	return stillSaving(state, now);
}

function withNothingUnsent(state: SaveState, now: number): SaveStatus {
	const back = state.line === 'up' || (state.line === 'down' && now - state.downSince < RECONNECTING_SHOWN_AFTER_MS);
	return back ? { kind: 'saved' } : { kind: 'reconnecting' };
}

/** Never flickers: a loud word stays until the words are saved, a quiet one comes late. */
function stillSaving(state: SaveState, now: number): SaveStatus {
	if (state.status.kind === 'unsaved') return state.status;
	const shown = state.status.kind === 'saving' || now - (state.waitingSince ?? now) >= SAVING_SHOWN_AFTER_MS;
	return shown ? { kind: 'saving' } : { kind: 'saved' };
}

function same(a: SaveStatus, b: SaveStatus): boolean {
	return a.kind === b.kind && (a.kind !== 'unsaved' || b.kind !== 'unsaved' || a.cause === b.cause);
}

/** When to reduce a `tick`, in ms from now; `null`: nothing changes by waiting. */
export function nextTickMs(state: SaveState, now: number): number | null {
	if (!state.ready) return null;
	const moments: number[] = [];
	if (state.line === 'down') moments.push(state.downSince + NOT_SAVED_AFTER_MS);
	if (state.waitingSince !== null) {
		moments.push(state.waitingSince + SAVING_SHOWN_AFTER_MS, state.waitingSince + NOT_SAVED_AFTER_MS);
	}
	const ahead = moments.filter((moment) => moment > now);
	return ahead.length === 0 ? null : Math.min(...ahead) - now;
}
