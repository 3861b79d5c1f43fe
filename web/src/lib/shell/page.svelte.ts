// What the page in view offers to the shell: things to go to and do, and what Ctrl+S answers.

import { pushState, replaceState } from '$app/navigation';
import { page as kit } from '$app/state';

export type Command = {
	/** Stable within one opening of the palette. */
	id: string;
	words: string;
	run: () => void;
};

class PageOffer {
	commands = $state.raw<(() => Command[]) | null>(null);
	saved = $state.raw<(() => string) | null>(null);
	/** My words that are not on the server yet. */
	unsent = $state.raw<(() => boolean) | null>(null);
	/** Takes the copies of this page's text off this machine before somebody signs out. */
	beforeSignOut = $state.raw<(() => Promise<'clean' | 'unsent'>) | null>(null);
	paletteOpen = $state(false);
	keysOpen = $state(false);
}

export const page = new PageOffer();

/** Goes to an element by id: scrolls there and puts the focus on its heading, so that reading goes on from there. */
export function goTo(id: string): void {
	const element = document.getElementById(id);
	if (!element) return;
	// *Back* leads to where one came from; what lay over the page when one chose is no such place. First, while one is still there.
	if (location.hash !== `#${id}`) (kit.state.over ? replaceState : pushState)(`#${id}`, {});
	element.scrollIntoView({ block: 'start' });
	const heading = element.matches('h1,h2,h3') ? element : (element.querySelector<HTMLElement>('h1,h2,h3') ?? element);
	if (!heading.hasAttribute('tabindex')) heading.setAttribute('tabindex', '-1');
	heading.focus({ preventScroll: true });
}

function visible(region: HTMLElement, selector: string): HTMLElement | undefined {
	return [...region.querySelectorAll<HTMLElement>(selector)].find((element) => element.checkVisibility());
}

/** F6: the next of the page's parts, back to where one was in it. */
const lastIn = new WeakMap<Element, HTMLElement>();
export function nextRegion(back: boolean): void {
	const regions = [...document.querySelectorAll<HTMLElement>('[data-region]')].filter((region) => region.checkVisibility());
	if (regions.length === 0) return;
	const active = document.activeElement as HTMLElement | null;
	const here = regions.findIndex((region) => region.contains(active));
	const current = regions[here];
	if (current && active) lastIn.set(current, active);
	const next = regions[(here + (back ? -1 : 1) + regions.length) % regions.length] ?? regions[0];
	if (!next) return;
	const before = lastIn.get(next);
	const target =
		before?.isConnected && next.contains(before)
			? before
			: (visible(next, '[contenteditable="true"]') ??
				visible(next, 'a[href],button:not([disabled]),input,[tabindex="0"]') ??
				next);
	if (target === next && !next.hasAttribute('tabindex')) next.setAttribute('tabindex', '-1');
	target.focus();
}
