/**
 * The editor that the page's one toolbar speaks to: the one that has the focus, or had it last. There is one for each live document.
 */
import type { Command, EditorState } from 'prosemirror-state';
import type { EditorView } from 'prosemirror-view';
import type { LiveDocument } from '$lib/document/live.svelte';
import type { FragmentKind } from './schema';

export class ActiveEditor {
	kind = $state<FragmentKind>('section');
	state = $state.raw<EditorState | null>(null);
	/** Set by the link dialog; a key may ask for it. */
	linking = $state(false);
	private view: EditorView | null = null;
	private toolbar: (() => void) | null = null;

	focused(view: EditorView, kind: FragmentKind): void {
		this.view = view;
		this.kind = kind;
		this.state = view.state;
	}

	changed(view: EditorView): void {
		if (this.view === view) this.state = view.state;
	}

	gone(view: EditorView): void {
		if (this.view !== view) return;
		this.view = null;
		this.state = null;
	}

	/** Runs a command and gives the text its focus back. */
	run(command: Command): void {
		if (!this.view?.editable) return;
		command(this.view.state, this.view.dispatch, this.view);
		this.view.focus();
	}

	can(command: Command): boolean {
		return this.state !== null && (this.view?.editable ?? false) && command(this.state);
	}

	focus(): void {
		this.view?.focus();
	}

	/** The toolbar says how it is reached. */
	registerToolbar(focus: () => void): () => void {
		this.toolbar = focus;
		return () => (this.toolbar = null);
	}

	toToolbar(): boolean {
		this.toolbar?.();
		return this.toolbar !== null;
	}
}

const editors = new WeakMap<LiveDocument, ActiveEditor>();

export function activeEditor(live: LiveDocument): ActiveEditor {
	let active = editors.get(live);
	if (!active) editors.set(live, (active = new ActiveEditor()));
	return active;
}
