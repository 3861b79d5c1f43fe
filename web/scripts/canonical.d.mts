import type { Doc } from 'yjs';

/** The canonical JSON of a live document, as the server renders it. */
export function canonical(doc: Doc): string;
