// Moving a goal: its number follows, the focus stays on what moved, and the new number is said.

import { tick } from 'svelte';
import { m } from '$lib/paraglide/messages';
import { say } from '$lib/live-region.svelte';
import type { AgreementPage } from './context.svelte';

export async function moveGoal(page: AgreementPage, id: string, direction: 'up' | 'down'): Promise<void> {
	const focused = document.activeElement as HTMLElement | null;
	page.live.moveGoal(id, direction);
	// The goals are read anew in a microtask, then the page is.
	await Promise.resolve();
	await tick();
	if (focused?.isConnected && document.activeElement !== focused) focused.focus();
	const moved = page.goals.find(({ goal }) => goal.id === id);
	if (moved) say(m.goal_moved({ title: moved.goal.titleText || m.goal_untitled(), number: moved.number }));
}
