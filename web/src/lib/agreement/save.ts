// What is saved, in words.

import { m } from '$lib/paraglide/messages';
import type { SaveStatus } from '$lib/document';

/** Who does not write saves nothing; what they see is as it stands now. */
export function saveWords(status: SaveStatus, writes: boolean): string {
	switch (status.kind) {
		case 'loading':
			return m.save_loading();
		case 'saved':
			return writes ? m.save_saved() : m.save_current();
		case 'saving':
			return m.save_saving();
		case 'reconnecting':
			return m.save_reconnecting();
		case 'unsaved':
			return status.cause === 'network' ? m.save_unsaved_network() : m.save_unsaved_server();
	}
}

/** The answer to Ctrl+S. */
export function saveAnswer(status: SaveStatus, writes: boolean): string {
	if (!writes) return saveWords(status, writes);
	switch (status.kind) {
		case 'saved':
			return m.say_save_saved();
		case 'saving':
			return m.say_save_saving();
		default:
			return saveWords(status, writes);
	}
}
