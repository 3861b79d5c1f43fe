// The last answers this person saw on this machine, so that a page opens without a network.
// The name carries the person: on a shared computer nobody is shown what another read.

const PREFIX = 'samspil.kept:';

export function keep(person: string, path: string, value: unknown): void {
	try {
		localStorage.setItem(`${PREFIX}${person}:${path}`, JSON.stringify(value));
	} catch {
		/* a full or forbidden storage only costs the offline page */
	}
}

export function take<T>(person: string, path: string): T | null {
	try {
		const text = localStorage.getItem(`${PREFIX}${person}:${path}`);
		return text === null ? null : (JSON.parse(text) as T);
	} catch {
		return null;
	}
}

export function drop(person: string, path: string): void {
	try {
		localStorage.removeItem(`${PREFIX}${person}:${path}`);
	} catch {
		/* nothing to remove */
	}
}

/** Forgets everything kept, for everybody: at sign-out, and when somebody else signs in. */
export function dropAll(): void {
	try {
		for (const name of Object.keys(localStorage)) if (name.startsWith(PREFIX)) localStorage.removeItem(name);
	} catch {
		/* nothing to remove */
	}
}
