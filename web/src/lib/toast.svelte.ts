// One message at a time about something that can be undone. It stays 8 seconds, longer while it is used.

import { say } from '$lib/live-region.svelte';

export type Toast = { words: string; undo: (() => void) | null };

const SHOWN_MS = 8_000;

class Toasts {
	#current = $state.raw<Toast | null>(null);
	#timer: ReturnType<typeof setTimeout> | null = null;

	get current(): Toast | null {
		return this.#current;
	}

	show(words: string, undo: (() => void) | null = null): void {
		this.#current = { words, undo };
		say(words);
		this.resume();
	}

	/** The person is at it: it does not go away meanwhile. */
	hold(): void {
		if (this.#timer) clearTimeout(this.#timer);
		this.#timer = null;
	}

	resume(): void {
		this.hold();
		this.#timer = setTimeout(() => this.dismiss(), SHOWN_MS);
	}

	dismiss(): void {
		this.hold();
		this.#current = null;
	}
}

export const toasts = new Toasts();
