// The page's one polite region. Messages that come together are read one after the other.

class LiveRegion {
	#message = $state('');
	#waiting: string[] = [];
	#timer: ReturnType<typeof setTimeout> | null = null;

	get message(): string {
		return this.#message;
	}

	say(message: string): void {
		this.#waiting.push(message);
		if (!this.#timer) this.#next();
	}

	#next(): void {
		const message = this.#waiting.shift();
		if (message === undefined) {
			this.#timer = null;
			return;
		}
		// The same words twice are only read again when something about them changed.
		this.#message = message === this.#message ? message + '\u00a0' : message;
		this.#timer = setTimeout(() => this.#next(), 1_000);
	}
}

export const liveRegion = new LiveRegion();

export function say(message: string): void {
	liveRegion.say(message);
}
