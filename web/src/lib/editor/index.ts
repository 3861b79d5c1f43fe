export { activeEditor, type ActiveEditor } from './active.svelte';
export { provideEditorPlugins } from './extra';
export { default as RichText } from './RichText.svelte';
export { default as Toolbar } from './Toolbar.svelte';
export type { FragmentKind } from './schema';
