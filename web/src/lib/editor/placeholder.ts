/** The guidance shown in an empty text. A decoration, never content: it is not read as the text, copied or saved. */
import { Plugin, PluginKey } from 'prosemirror-state';
import { Decoration, DecorationSet } from 'prosemirror-view';

const placeholderKey = new PluginKey('placeholder');

export function placeholder(text: () => string): Plugin {
	return new Plugin({
		key: placeholderKey,
		props: {
			decorations: ({ doc }) => {
				const words = text();
				if (!words || doc.textContent !== '' || doc.childCount > 1) return null;
				let at: [number, number] | null = null;
				doc.descendants((node, position) => {
					if (node.isTextblock && !at) at = node.childCount === 0 ? [position, position + node.nodeSize] : null;
					return !node.isTextblock;
				});
				if (!at) return null;
				return DecorationSet.create(doc, [Decoration.node(at[0], at[1], { class: 'placeholder', 'data-placeholder': words })]);
			}
		}
	});
}
