/** What keys and toolbar do to a text. A command that cannot act answers false, as in ProseMirror. */
import { setBlockType, toggleMark } from 'prosemirror-commands';
import type { MarkType, Node, NodeType, ResolvedPos } from 'prosemirror-model';
import { liftListItem, sinkListItem, wrapInList } from 'prosemirror-schema-list';
import { TextSelection, type Command, type EditorState } from 'prosemirror-state';
import {
	addColumnAfter,
	addColumnBefore,
	addRowAfter,
	addRowBefore,
	deleteColumn,
	deleteRow,
	deleteTable,
	fixTables,
	goToNextCell,
	isInTable
} from 'prosemirror-tables';
import { sectionSchema } from './schema';

type NodeName = 'paragraph' | 'heading' | 'bullet_list' | 'ordered_list' | 'list_item' | 'table' | 'table_row' | 'table_cell' | 'table_header' | 'hard_break';

export function nodeType(name: NodeName): NodeType {
	return sectionSchema.nodes[name]!;
}

export function markType(name: 'strong' | 'em' | 'link'): MarkType {
	return sectionSchema.marks[name]!;
}

export const toggleStrong = toggleMark(markType('strong'));
export const toggleEm = toggleMark(markType('em'));

export type BlockType = 'paragraph' | 'heading2' | 'heading3' | 'heading4';

export function setBlock(block: BlockType): Command {
	if (block === 'paragraph') return setBlockType(nodeType('paragraph'));
	return setBlockType(nodeType('heading'), { level: Number(block.at(-1)) });
}

export function blockAt(state: EditorState): BlockType {
	const { parent } = state.selection.$head;
	const level = Number(parent.attrs.level);
	return parent.type === nodeType('heading') && [2, 3, 4].includes(level) ? (`heading${level}` as BlockType) : 'paragraph';
}

/** The innermost list around the selection. */
export function listAt($position: ResolvedPos): { node: Node; position: number } | null {
	for (let depth = $position.depth; depth > 0; depth -= 1) {
		const node = $position.node(depth);
		if (node.type === nodeType('bullet_list') || node.type === nodeType('ordered_list')) return { node, position: $position.before(depth) };
	}
	return null;
}

/** Into a list, out of it, or from one kind of list to the other. */
export function toggleList(kind: 'bullet_list' | 'ordered_list'): Command {
	return (state, dispatch, view) => {
		const list = listAt(state.selection.$from);
		if (!list) return wrapInList(nodeType(kind))(state, dispatch, view);
		if (list.node.type === nodeType(kind)) return liftListItem(nodeType('list_item'))(state, dispatch, view);
		dispatch?.(state.tr.setNodeMarkup(list.position, nodeType(kind)).scrollIntoView());
		return true;
	};
}

/** Three columns, a head and two rows: enough to begin. The caret goes to the first cell. */
export const insertTable: Command = (state, dispatch) => {
	if (isInTable(state)) return false;
	const row = (cell: 'table_header' | 'table_cell') =>
		nodeType('table_row').create(
			null,
			[1, 2, 3].map(() => nodeType(cell).createAndFill()!)
		);
	const table = nodeType('table').create(null, [row('table_header'), row('table_cell'), row('table_cell')]);
	if (dispatch) {
		const { $from } = state.selection;
		// After the block I stand in, or in its place when it is empty.
		const outer = $from.depth === 0 ? 0 : 1;
		const empty = $from.depth === 1 && $from.parent.content.size === 0;
		const at = empty ? $from.before(outer) : $from.after(outer);
		const tr = empty ? state.tr.replaceWith(at, $from.after(outer), table) : state.tr.insert(at, table);
		// A text must not end in a table: there would be no way out of it below.
		if (at + table.nodeSize >= tr.doc.content.size) tr.insert(at + table.nodeSize, nodeType('paragraph').create());
		dispatch(tr.setSelection(TextSelection.near(tr.doc.resolve(at + 3))).scrollIntoView());
	}
	return true;
};

/**
 * A row of mine and a column of another's, made at once, leave a table with a hole. It is mended when a person next changes the
 * table's form, by that one person (see `tables.ts`).
 */
function onWholeTable(command: Command): Command {
	return (state, dispatch, view) => {
		if (!dispatch) return command(state);
		const mended = fixTables(state);
		if (!mended || !view) return command(state, dispatch, view);
		view.dispatch(mended);
		return command(view.state, view.dispatch, view);
	};
}

export const tableCommands = {
	rowBefore: onWholeTable(addRowBefore),
	rowAfter: onWholeTable(addRowAfter),
	columnBefore: onWholeTable(addColumnBefore),
	columnAfter: onWholeTable(addColumnAfter),
	deleteRow: onWholeTable(deleteRow),
	deleteColumn: onWholeTable(deleteColumn),
	deleteTable
};

/** Tab moves a cell and leaves after the last; in a list it indents; elsewhere it is not ours. */
export function tab(mayIndent: boolean): Command {
	return (state, dispatch, view) => {
		if (isInTable(state)) return goToNextCell(1)(state, dispatch);
		return mayIndent && sinkListItem(nodeType('list_item'))(state, dispatch, view);
	};
}

export function shiftTab(mayIndent: boolean): Command {
	return (state, dispatch, view) => {
		if (isInTable(state)) return goToNextCell(-1)(state, dispatch);
		return mayIndent && listDepth(state.selection.$from) > 1 && liftListItem(nodeType('list_item'))(state, dispatch, view);
	};
}

function listDepth($position: ResolvedPos): number {
	let depth = 0;
	for (let d = $position.depth; d > 0; d -= 1) if ($position.node(d).type === nodeType('list_item')) depth += 1;
	return depth;
}

export function markIsActive(state: EditorState, mark: MarkType): boolean {
	const { from, to, empty, $from } = state.selection;
	return empty ? Boolean(mark.isInSet(state.storedMarks ?? $from.marks())) : state.doc.rangeHasMark(from, to, mark);
}

/** The link at the caret or selection, with all the text it covers. */
export function linkAt(state: EditorState): { from: number; to: number; href: string } | null {
	const { $from, from, to, empty } = state.selection;
	const parent = $from.parent;
	if (!parent.isTextblock) return null;
	let found: { from: number; to: number; href: string } | null = null;
	parent.forEach((node, offset) => {
		const mark = markType('link').isInSet(node.marks);
		const start = $from.start() + offset;
		const end = start + node.nodeSize;
		if (!mark) return;
		const touches = empty ? from >= start && from <= end : from < end && to > start;
		const continues = found && found.to === start && found.href === mark.attrs.href;
		if (continues && found) found = { ...found, to: end };
		else if (touches && !found) found = { from: start, to: end, href: String(mark.attrs.href) };
	});
	return found;
}

/** Links the selection, the link at the caret, or, where there is neither, inserts `text`. Without `href` the link goes. */
export function setLink(href: string | null, text: string): Command {
	return (state, dispatch) => {
		const existing = linkAt(state);
		const { empty } = state.selection;
		const { from, to } = empty && existing ? existing : state.selection;
		if (!dispatch) return true;
		const tr = state.tr;
		if (empty && !existing) {
			if (href) tr.replaceSelectionWith(sectionSchema.text(text || href, [markType('link').create({ href })]), false);
		} else {
			tr.removeMark(from, to, markType('link'));
			if (href) tr.addMark(from, to, markType('link').create({ href }));
		}
		dispatch(tr.removeStoredMark(markType('link')).scrollIntoView());
		return true;
	};
}
