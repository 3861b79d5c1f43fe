/**
 * Tables as prosemirror-tables edits them, without its mending after every change. Mending what comes from others would be done by
 * everybody at once, each mend a new hole for the rest: tables would grow without end (tried, with three people and no malice).
 */
import { Plugin } from 'prosemirror-state';
import { tableEditing } from 'prosemirror-tables';

export function tables(): Plugin {
	const { spec } = tableEditing();
	return new Plugin({
		...spec,
		appendTransaction(transactions, before, state) {
			// Left to it: what concerns the selection alone.
			if (transactions.some(({ docChanged }) => docChanged)) return null;
			return spec.appendTransaction?.call(this, transactions, before, state) ?? null;
		}
	});
}
