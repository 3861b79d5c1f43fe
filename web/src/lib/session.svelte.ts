// Who is signed in, and what the time is. One for the whole page.

import { get, post } from '$lib/api/client';
import { ApiError } from '$lib/api/problem';
import * as kept from '$lib/api/kept';
import type { Me } from '$lib/protocol/Me';

export type SessionState = 'loading' | 'ready' | 'signed_out' | 'failed';

const KEPT_ME = 'samspil.me';

class Session {
	#me = $state.raw<Me | null>(null);
	#state = $state<SessionState>('loading');
	#error = $state.raw<unknown>(null);
	#stale = $state(false);
	#signedOutAgain = $state(false);
	#offset = $state(0); // server time minus browser time
	#tick = $state(0);

	get me(): Me | null {
		return this.#me;
	}
	get state(): SessionState {
		return this.#state;
	}
	get error(): unknown {
		return this.#error;
	}
	/** The person is known from the last visit only, since there is no network. */
	get stale(): boolean {
		return this.#stale;
	}
	/** Somebody was signed in on this page and no longer is. */
	get signedOutAgain(): boolean {
		return this.#signedOutAgain;
	}

	/** The server's now, carried on by the browser's clock. Moves every 15 seconds. */
	get now(): Date {
		void this.#tick;
		return new Date(Date.now() + this.#offset);
	}

	constructor() {
		if (typeof window !== 'undefined') setInterval(() => this.#tick++, 15_000);
	}

	async load(): Promise<void> {
		if (this.#state === 'failed') this.#state = 'loading';
		try {
			const me = await get<Me>('/api/me');
			if (recall()?.person.id !== me.person.id) kept.dropAll();
			remember(me);
			this.#set(me);
			this.#stale = false;
		} catch (error) {
			if (error instanceof ApiError && error.kind === 'signed-out') {
				this.#leave();
				clearAway();
			}
			else if (error instanceof ApiError && error.kind === 'offline' && recall()) {
				this.#stale = true;
				this.#me = recall();
				this.#state = 'ready';
			} else {
				this.#error = error;
				this.#state = 'failed';
			}
		}
	}

	/** A call or the live connection found that nobody is signed in any more. */
	lost(): void {
		if (this.#state === 'ready') this.#signedOutAgain = true;
		this.#leave();
	}

	async signOut(): Promise<void> {
		const answer = await post<{ redirect_to?: string } | undefined>('/auth/logout', {});
		kept.dropAll();
		forget();
		location.assign(answer?.redirect_to ?? '/');
	}

	#set(me: Me): void {
		this.#offset = Date.parse(me.now) - Date.now();
		this.#me = me;
		this.#state = 'ready';
		this.#signedOutAgain = false;
	}

	#leave(): void {
		this.#state = 'signed_out';
	}
}

/** Nobody is signed in on this machine: what is kept of the last one goes, except words that are nowhere else. */
function clearAway(): void {
	const last = recall();
	kept.dropAll();
	forget();
	if (last) void import('$lib/document').then(({ cleanLocalCopies }) => cleanLocalCopies(last.person.id));
}

function remember(me: Me): void {
	try {
		localStorage.setItem(KEPT_ME, JSON.stringify(me));
	} catch {
		/* only costs the offline page */
	}
}

function recall(): Me | null {
	try {
		return JSON.parse(localStorage.getItem(KEPT_ME) ?? 'null') as Me | null;
	} catch {
		return null;
	}
}

function forget(): void {
	try {
		localStorage.removeItem(KEPT_ME);
	} catch {
		/* nothing to forget */
	}
}

export const session = new Session();

/** Where to go to sign in and come back to this page. */
export function signInUrl(path = location.pathname + location.search + location.hash): string {
	return `/auth/login?return_to=${encodeURIComponent(path)}`;
}
