// What a person sets for themselves on this machine: appearance, and how much is read aloud.

import type { Level } from '$lib/announce';

export type Theme = 'auto' | 'light' | 'dark';

class Settings {
	#theme = $state<Theme>(read('samspil.theme', ['auto', 'light', 'dark'], 'auto'));
	#announcements = $state<Level>(read('samspil.announcements', ['off', 'short', 'full'], 'short'));

	get theme(): Theme {
		return this.#theme;
	}
	set theme(theme: Theme) {
		this.#theme = theme;
		write('samspil.theme', theme);
		if (theme === 'auto') delete document.documentElement.dataset.theme;
		else document.documentElement.dataset.theme = theme;
	}

	get announcements(): Level {
		return this.#announcements;
	}
	set announcements(level: Level) {
		this.#announcements = level;
		write('samspil.announcements', level);
	}
}

function read<T extends string>(name: string, allowed: readonly T[], otherwise: T): T {
	try {
		const value = localStorage.getItem(name) as T | null;
		return value !== null && allowed.includes(value) ? value : otherwise;
	} catch {
		return otherwise;
	}
}

function write(name: string, value: string): void {
	try {
		localStorage.setItem(name, value);
	} catch {
		/* it holds until the page is left */
	}
}

export const settings = new Settings();
