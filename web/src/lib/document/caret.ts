/**
 * The browser moves the caret at once and tells of it a moment later. What comes from others in between would put it back where the
 * editor last knew it, and the next word would be written there. So the editor is told now.
 */
export function readCaret(): void {
	if (typeof document !== 'undefined') document.dispatchEvent(new Event('selectionchange'));
}
