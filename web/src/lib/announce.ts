// What screen readers are told without asking. One polite region for the whole page, three levels:
// *off* says nothing about others, *short* at most one message in ten seconds about who writes where I am,
// *full* says all of it, still at most one in ten seconds for each person. Losing the connection is always said.

export type Level = 'off' | 'short' | 'full';

export type Happening =
	| { kind: 'joined'; name: string }
	| { kind: 'left'; name: string }
	/** Somebody else wrote. `here` when it is the section or goal I am in. */
	| { kind: 'wrote'; name: string; place: string; here: boolean }
	| { kind: 'lost' }
	| { kind: 'back' }
	| { kind: 'unsaved' }
	| { kind: 'saved_again' }
	| { kind: 'status'; status: string };

export interface Words {
	joined(name: string): string;
	left(name: string): string;
	wrote(name: string, others: number, place: string): string;
	lost(): string;
	back(): string;
	unsaved(): string;
	savedAgain(): string;
	status(status: string): string;
}

/** Between two messages about writing. */
const QUIET_MS = 10_000;
/** A connection that comes and goes faster than this is not worth a word. */
const SETTLE_MS = 1_500;

export class Announcer {
	#lastWrote = -Infinity;
	#lastWroteBy = new Map<string, number>();
	#pending: { place: string; names: string[]; timer: ReturnType<typeof setTimeout> } | null = null;
	#saidLost = false;
	#lostTimer: ReturnType<typeof setTimeout> | null = null;
	#saidUnsaved = false;

	constructor(
		private readonly level: () => Level,
		private readonly words: Words,
		private readonly say: (message: string) => void,
		private readonly now: () => number = () => Date.now()
	) {}

	happened(what: Happening): void {
		const level = this.level();
		switch (what.kind) {
			case 'joined':
				if (level !== 'off') this.say(this.words.joined(what.name));
				return;
			case 'left':
				if (level === 'full') this.say(this.words.left(what.name));
				return;
			case 'wrote':
				this.#wrote(level, what.name, what.place, what.here);
				return;
			case 'lost':
				if (this.#saidLost || this.#lostTimer) return;
				this.#lostTimer = setTimeout(() => {
					this.#lostTimer = null;
					this.#saidLost = true;
					this.say(this.words.lost());
				}, SETTLE_MS);
				return;
			case 'back':
				if (this.#lostTimer) clearTimeout(this.#lostTimer);
				this.#lostTimer = null;
				// When what I wrote was at stake, that it is saved says that the connection is back.
				if (this.#saidLost && !this.#saidUnsaved) this.say(this.words.back());
				this.#saidLost = false;
				return;
			case 'unsaved':
				if (!this.#saidUnsaved) this.say(this.words.unsaved());
				this.#saidUnsaved = true;
				return;
			case 'saved_again':
				if (this.#saidUnsaved) this.say(this.words.savedAgain());
				this.#saidUnsaved = false;
				return;
			case 'status':
				this.say(this.words.status(what.status));
				return;
		}
	}

	/** The page is left: nothing more is said. */
	close(): void {
		if (this.#pending) clearTimeout(this.#pending.timer);
		if (this.#lostTimer) clearTimeout(this.#lostTimer);
		this.#pending = null;
		this.#lostTimer = null;
	}

	#wrote(level: Level, name: string, place: string, here: boolean): void {
		if (level === 'off' || (level === 'short' && !here)) return;
		if (level === 'full') {
			const last = this.#lastWroteBy.get(name) ?? -Infinity;
			if (this.now() - last < QUIET_MS) return;
			this.#lastWroteBy.set(name, this.now());
			this.say(this.words.wrote(name, 0, place));
			return;
		}
		const wait = this.#lastWrote + QUIET_MS - this.now();
		if (wait <= 0) {
			this.#lastWrote = this.now();
			this.#lastWroteBy = new Map([[name, this.now()]]);
			this.say(this.words.wrote(name, 0, place));
			return;
		}
		// Within the quiet time only somebody new is worth a word, and that word waits.
		if (this.#lastWroteBy.has(name)) return;
		if (this.#pending) {
			if (!this.#pending.names.includes(name)) this.#pending.names.push(name);
			this.#pending.place = place;
			return;
		}
		const timer = setTimeout(() => this.#flush(), wait);
		this.#pending = { place, names: [name], timer };
	}

	#flush(): void {
		const pending = this.#pending;
		this.#pending = null;
		const first = pending?.names[0];
		if (!pending || first === undefined || this.level() !== 'short') return;
		this.#lastWrote = this.now();
		this.#lastWroteBy = new Map(pending.names.map((name) => [name, this.now()]));
		this.say(this.words.wrote(first, pending.names.length - 1, pending.place));
	}
}
