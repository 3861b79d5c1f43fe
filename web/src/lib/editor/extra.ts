/** What the page around an editor draws in its text or listens for, by fragment. */
import { getContext, setContext } from 'svelte';
import type { Plugin } from 'prosemirror-state';
import type * as Y from 'yjs';

export type ExtraPlugins = (fragment: Y.XmlFragment) => Plugin[];

const KEY = Symbol('editor-plugins');

export function provideEditorPlugins(plugins: ExtraPlugins): void {
	setContext(KEY, plugins);
}

export function editorPlugins(): ExtraPlugins {
	return getContext<ExtraPlugins | undefined>(KEY) ?? (() => []);
}
