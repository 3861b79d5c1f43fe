// The browser's *Back* closes what lies over a page before it leaves the page.

import { pushState } from '$app/navigation';
import { page as kit } from '$app/state';

/** What closes each thing that is open. */
const closers = new Set<() => void>();

/** The address of the entry in the browser's history that is there to be gone back from. */
let address = '';

/**
 * Something opens over the page. Its entry in the history stays when it closes otherwise than by *Back*, and serves whatever opens next:
 * going back by ourselves would race with where the reader goes meanwhile.
 */
export function opened(close: () => void): () => void {
	closers.add(close);
	if (!kit.state.over) {
		address = location.href;
		pushState('', { ...kit.state, over: true });
	}
	return () => closers.delete(close);
}

if (typeof window !== 'undefined') {
	// Before the router, which knows the entry that is left only until it has heard of the one that is come to.
	addEventListener(
		'popstate',
		({ state }) => {
			const left = kit.state.over === true && state?.['sveltekit:states']?.over !== true && location.href === address;
			if (!left) return;
			// With nothing left to close the entry means nothing to the reader: *Back* is what was meant.
			if (closers.size === 0) history.back();
			// Once the browser has gone back, which may take the focus to the address's place: closing gives it to where it was.
			else setTimeout(() => [...closers].forEach((close) => close()));
		},
		true
	);
}
