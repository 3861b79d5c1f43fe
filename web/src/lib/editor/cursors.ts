/**
 * The carets and selections of others, and mine for them. A caret carries a name flag that fades after two seconds of rest and comes
 * back when the pointer or my own caret is near; it steps below the line when it would cover the one I write in. All of it is hidden
 * from the reading order: who is where is told in words elsewhere.
 */
import { Plugin, PluginKey, type EditorState, type Transaction } from 'prosemirror-state';
import { Decoration, DecorationSet, type EditorView } from 'prosemirror-view';
import { absolutePositionToRelativePosition, relativePositionToAbsolutePosition, ySyncPluginKey } from 'y-prosemirror';
import type { Awareness } from 'y-protocols/awareness';
import * as Y from 'yjs';
import { readCaret } from '$lib/document/caret';

const FLAG_RESTS_AFTER_MS = 2_000;
/** y-prosemirror has written what was typed by then; positions made before are one step off. */
const REBUILD_AFTER_MS = 50;
const NEAR_CHARACTERS = 4;

interface Remote {
	readonly client: number;
	readonly name: string;
	readonly colour: number;
	readonly anchor: number;
	readonly head: number;
}

interface CursorState {
	readonly decorations: DecorationSet;
	readonly remotes: readonly Remote[];
}

const cursorsKey = new PluginKey<CursorState>('cursors');

export function cursors(awareness: Awareness): Plugin<CursorState> {
	const flags = new Flags();
	const build = (state: EditorState): CursorState => {
		const remotes = readRemotes(state, awareness);
		return { remotes, decorations: DecorationSet.create(state.doc, remotes.flatMap((remote) => decorate(remote, flags))) };
	};
	return new Plugin<CursorState>({
		key: cursorsKey,
		state: {
			init: () => ({ remotes: [], decorations: DecorationSet.empty }),
			apply: (tr, before, _, state) => {
				if (tr.getMeta(cursorsKey) || fromYjs(tr)) return build(state);
				if (!tr.docChanged) return before;
				return { remotes: before.remotes.map((remote) => moved(remote, tr)), decorations: before.decorations.map(tr.mapping, tr.doc) };
			}
		},
		props: { decorations: (state) => cursorsKey.getState(state)?.decorations },
		view: (view) => new CursorView(view, awareness, flags)
	});
}

function moved(remote: Remote, { mapping }: Transaction): Remote {
	return { ...remote, anchor: mapping.map(remote.anchor), head: mapping.map(remote.head) };
}

function fromYjs(tr: Transaction): boolean {
	return tr.getMeta(ySyncPluginKey)?.isChangeOrigin === true;
}

class CursorView {
	private rebuildTimer: ReturnType<typeof setTimeout> | undefined;

	constructor(
		private readonly view: EditorView,
		private readonly awareness: Awareness,
		private readonly flags: Flags
	) {
		awareness.on('change', this.onAwareness);
		view.dom.addEventListener('focus', this.say);
		view.dom.addEventListener('blur', this.unsay);
		this.rebuildSoon(0);
	}

	update(view: EditorView, before: EditorState): void {
		if (view.state.doc !== before.doc) this.rebuildSoon(REBUILD_AFTER_MS);
		if (view.hasFocus() && (view.state.doc !== before.doc || !view.state.selection.eq(before.selection))) this.say();
		this.flags.arrange(view, cursorsKey.getState(view.state)?.remotes ?? []);
	}

	destroy(): void {
		clearTimeout(this.rebuildTimer);
		this.awareness.off('change', this.onAwareness);
		this.view.dom.removeEventListener('focus', this.say);
		this.view.dom.removeEventListener('blur', this.unsay);
		this.flags.destroy();
		this.unsay();
	}

	private readonly onAwareness = ({ added, updated, removed }: Record<'added' | 'updated' | 'removed', number[]>, origin: unknown): void => {
		if (origin === 'local') return;
		[...added, ...updated].forEach((client) => this.flags.moved(client, JSON.stringify(this.awareness.states.get(client)?.cursor ?? null)));
		removed.forEach((client) => this.flags.forget(client));
		this.rebuildSoon(0);
	};

	private rebuildSoon(afterMs: number): void {
		clearTimeout(this.rebuildTimer);
		this.rebuildTimer = setTimeout(() => {
			if (this.view.isDestroyed || this.isUpToDate()) return;
			readCaret();
			this.view.dispatch(this.view.state.tr.setMeta(cursorsKey, true).setMeta('addToHistory', false));
		}, afterMs);
	}

	/** A page has dozens of editors, and a caret stands in one of them. */
	private isUpToDate(): boolean {
		return JSON.stringify(cursorsKey.getState(this.view.state)?.remotes) === JSON.stringify(readRemotes(this.view.state, this.awareness));
	}

	private readonly say = (): void => {
		if (!this.view.editable) return;
		const { type, binding } = ySyncPluginKey.getState(this.view.state);
		const { anchor, head } = this.view.state.selection;
		const relative = (position: number) => Y.relativePositionToJSON(absolutePositionToRelativePosition(position, type, binding.mapping));
		const cursor = { anchor: relative(anchor), head: relative(head) };
		if (JSON.stringify(this.awareness.getLocalState()?.cursor) !== JSON.stringify(cursor)) this.awareness.setLocalStateField('cursor', cursor);
	};

	private readonly unsay = (): void => {
		// Another editor may have taken the focus already; its word stands.
		setTimeout(() => {
			const active = document.activeElement;
			if (active === this.view.dom || active?.closest('.ProseMirror')) return;
			if (this.awareness.getLocalState()?.cursor) this.awareness.setLocalStateField('cursor', null);
		});
	};
}

function readRemotes(state: EditorState, awareness: Awareness): Remote[] {
	const { doc, type, binding } = ySyncPluginKey.getState(state);
	if (binding.mapping.size === 0) return [];
	const absolute = (json: unknown): number | null => {
		try {
			return relativePositionToAbsolutePosition(doc, type, Y.createRelativePositionFromJSON(json), binding.mapping);
		} catch {
			return null;
		}
	};
	const remotes: Remote[] = [];
	awareness.getStates().forEach(({ cursor, user }, client) => {
		if (client === awareness.clientID || !cursor || typeof user?.name !== 'string') return;
		const anchor = absolute(cursor.anchor);
		const head = absolute(cursor.head);
		if (anchor === null || head === null) return;
		const end = state.doc.content.size;
		const colour = Number.isInteger(user.colour) && user.colour >= 1 && user.colour <= 5 ? user.colour : 1;
		remotes.push({ client, name: user.name, colour, anchor: Math.min(anchor, end), head: Math.min(head, end) });
	});
	return remotes;
}

function decorate(remote: Remote, flags: Flags): Decoration[] {
	const from = Math.min(remote.anchor, remote.head);
	const to = Math.max(remote.anchor, remote.head);
	const caret = Decoration.widget(remote.head, () => flags.element(remote), {
		key: `${remote.client}:${remote.colour}:${remote.name}`,
		side: 10,
		ignoreSelection: true,
		stopEvent: () => false
	});
	return from === to ? [caret] : [Decoration.inline(from, to, { class: `remote-selection p${remote.colour}` }), caret];
}

/** The elements, and which of them show their flag. */
class Flags {
	private readonly carets = new Map<number, { element?: HTMLElement; cursor?: string; timer?: ReturnType<typeof setTimeout>; resting: boolean }>();

	element({ client, name, colour }: Remote): HTMLElement {
		const element = document.createElement('span');
		element.className = `caret p${colour}`;
		element.dataset.name = name.split(' ')[0] ?? name;
		element.title = name;
		element.setAttribute('aria-hidden', 'true');
		element.contentEditable = 'false';
		const caret = this.caret(client);
		caret.element = element;
		element.classList.toggle('rest', caret.resting);
		return element;
	}

	moved(client: number, cursor: string): void {
		const caret = this.caret(client);
		if (caret.cursor === cursor) return;
		caret.cursor = cursor;
		this.wake(client);
	}

	/** Near my own caret the flag shows; on the line under mine it hangs below instead of above. */
	arrange(view: EditorView, remotes: readonly Remote[]): void {
		if (!view.hasFocus() || remotes.length === 0) return;
		const { head } = view.state.selection;
		for (const remote of remotes) {
			if (Math.abs(remote.head - head) <= NEAR_CHARACTERS) this.wake(remote.client);
			const element = this.caret(remote.client).element;
			if (element?.isConnected) element.classList.toggle('below', coversMyLine(view, head, element));
		}
	}

	forget(client: number): void {
		clearTimeout(this.carets.get(client)?.timer);
		this.carets.delete(client);
	}

	destroy(): void {
		this.carets.forEach(({ timer }) => clearTimeout(timer));
		this.carets.clear();
	}

	private wake(client: number): void {
		const caret = this.caret(client);
		this.rest(caret, false);
		clearTimeout(caret.timer);
		caret.timer = setTimeout(() => this.rest(caret, true), FLAG_RESTS_AFTER_MS);
	}

	private rest(caret: { element?: HTMLElement; resting: boolean }, resting: boolean): void {
		caret.resting = resting;
		caret.element?.classList.toggle('rest', resting);
	}

	private caret(client: number) {
		let caret = this.carets.get(client);
		if (!caret) this.carets.set(client, (caret = { resting: false }));
		return caret;
	}
}

function coversMyLine(view: EditorView, head: number, caret: HTMLElement): boolean {
	try {
		const mine = view.coordsAtPos(head);
		const theirs = caret.getBoundingClientRect();
		const gap = theirs.top - mine.bottom;
		return gap > -4 && gap < theirs.height / 2;
	} catch {
		return false;
	}
}
