/**
 * The keys of a text. None uses Ctrl+Alt (AltGr here, and the screen readers' own); Tab is taken only where it means something, and
 * after Escape it always leaves.
 */
import { baseKeymap, chainCommands, exitCode } from 'prosemirror-commands';
import { inputRules, undoInputRule, wrappingInputRule } from 'prosemirror-inputrules';
import { keymap } from 'prosemirror-keymap';
import { splitListItem } from 'prosemirror-schema-list';
import { Plugin, type Command } from 'prosemirror-state';
import { listAt, nodeType, shiftTab, tab, toggleEm, toggleStrong } from './commands';
import { isRich, type FragmentKind } from './schema';

export interface KeyActions {
	undo(): boolean;
	redo(): boolean;
	editLink(): boolean;
	toToolbar(): boolean;
	/** From a title on to the text below it. */
	toText(): boolean;
}

export function keys(kind: FragmentKind, actions: KeyActions): Plugin[] {
	const plugins = [leaveByEscape(), keymap(own(kind, actions)), keymap(UNDERLYING)];
	return isRich(kind) ? [listRules(), ...plugins] : plugins;
}

/** Escape is not ours: it closes the dialog that a text stands in, and lets Tab leave. */
const { Escape: _selectParent, ...UNDERLYING } = baseKeymap;

function own(kind: FragmentKind, actions: KeyActions): Record<string, Command> {
	const bindings: Record<string, Command> = {
		'Mod-z': () => actions.undo() || true,
		'Mod-y': () => actions.redo() || true,
		'Mod-Shift-z': () => actions.redo() || true,
		'Alt-F10': () => actions.toToolbar(),
		Tab: tab(isRich(kind)),
		'Shift-Tab': shiftTab(isRich(kind)),
		Backspace: chainCommands(undoInputRule, keepFirstItem(kind)),
		Enter: enter(kind, actions),
		'Mod-Enter': enter(kind, actions),
		'Shift-Enter': isRich(kind) || kind === 'list' ? hardBreak : swallow
	};
	if (kind === 'title') return { ...bindings, 'Mod-b': swallow, 'Mod-i': swallow, 'Mod-k': swallow };
	return { ...bindings, 'Mod-b': toggleStrong, 'Mod-i': toggleEm, 'Mod-k': () => actions.editLink() };
}

const swallow: Command = () => true;

function enter(kind: FragmentKind, actions: KeyActions): Command {
	switch (kind) {
		case 'title':
			return () => actions.toText() || true;
		case 'line':
			return swallow;
		case 'list':
			// An empty criterion makes no further one, and never falls out of the list.
			return (state, dispatch, view) =>
				state.selection.$from.parent.content.size === 0 || splitListItem(nodeType('list_item'))(state, dispatch, view) || true;
		case 'section':
		case 'body':
			return splitListItem(nodeType('list_item'));
	}
}

const hardBreak: Command = chainCommands(exitCode, (state, dispatch) => {
	dispatch?.(state.tr.replaceSelectionWith(nodeType('hard_break').create()).scrollIntoView());
	return true;
});

/** A list of criteria stays a list: at the start of its first item there is nothing to delete. */
function keepFirstItem(kind: FragmentKind): Command {
	return ({ selection: { $from, empty } }) => {
		if (kind !== 'list' || !empty || $from.parentOffset > 0) return false;
		const list = listAt($from);
		return list !== null && $from.pos === list.position + 3;
	};
}

/**
 * Escape, then Tab or Shift+Tab: to the next or previous part of the page, wherever one stands. A DOM handler that answers true keeps
 * the key from ProseMirror without preventing it, so the browser moves the focus.
 */
function leaveByEscape(): Plugin {
	let leaving = false;
	return new Plugin({
		props: {
			handleDOMEvents: {
				keydown: (_, event) => {
					const leaves = leaving && event.key === 'Tab';
					if (event.key !== 'Shift') leaving = event.key === 'Escape';
					return leaves;
				},
				blur: () => {
					leaving = false;
					return false;
				}
			}
		}
	});
}

function listRules(): Plugin {
	return inputRules({
		rules: [wrappingInputRule(/^\s*[-*•]\s$/, nodeType('bullet_list')), wrappingInputRule(/^\s*1[.)]\s$/, nodeType('ordered_list'))]
	});
}
