/**
 * The local copy of one document for one person, in IndexedDB. It keeps two things apart that must never be confused: what the
 * server has said is on disk (`settled`), and my own words of which it has not (`unsent`). So unsent words survive a reload, and
 * after a refusal we know exactly which words are mine to lift out. Written in one transaction, shared by the tabs of one person.
 */
import * as Y from 'yjs';

/** Rows of `settled` are merged into one when there are more. */
const SETTLED_ROWS_MAX = 300;
const PREFIX = 'samspil';

export interface UnsentUpdate {
	readonly key: number;
	readonly update: Uint8Array;
	/** How often the text had been frozen when it was written: tabs share this copy, and each word carries its own count. */
	readonly freezes: number;
}

export interface Loaded {
	readonly settled: Uint8Array[];
	readonly unsent: UnsentUpdate[];
	readonly kept: KeptWords[];
	readonly notes: Notes;
}

/** What else the page needs when it opens without a network. */
export interface Notes {
	readonly seq: number;
	readonly mayEdit: boolean;
	readonly schema: number;
	readonly freezes: number;
}

/** Words of mine and the place they were meant for: a section key, or `goal:<id>:body` and the like. */
export interface Words {
	readonly place: string;
	readonly text: string;
}

/** Words that could not be placed; they wait for their writer to keep or drop them. Each has its own row: tabs share them. */
export interface KeptWords extends Words {
	readonly key: number;
}

const NO_NOTES: Notes = { seq: 0, mayEdit: false, schema: 0, freezes: 0 };
const STORES = ['settled', 'unsent', 'kept', 'notes'];

/** Person and document: on a shared computer nobody reads, owns or sends another's words. */
export function localCopyName(personId: string, documentId: string): string {
	return `${PREFIX}:${personId}:${documentId}`;
}

export class LocalCopy {
	private database: Promise<IDBDatabase> | null;
	private nextKey = 0;
	private broken = false;

	constructor(readonly name: string) {
		this.database = openDatabase(name);
	}

	/** What is kept. An unreadable copy is as an empty one: the server has the words. */
	async load(): Promise<Loaded> {
		const nothing: Loaded = { settled: [], unsent: [], kept: [], notes: NO_NOTES };
		try {
			const database = await this.database;
			if (!database) return nothing;
			const transaction = database.transaction(STORES, 'readonly');
			const [settled, unsent, keys, kept, notes] = await Promise.all([
				result<Uint8Array[]>(transaction.objectStore('settled').getAll()),
				result<Omit<UnsentUpdate, 'key'>[]>(transaction.objectStore('unsent').getAll()),
				result<IDBValidKey[]>(transaction.objectStore('unsent').getAllKeys()),
				result<KeptWords[]>(transaction.objectStore('kept').getAll()),
				result<Notes | undefined>(transaction.objectStore('notes').get('notes'))
			]);
			if (settled.length > SETTLED_ROWS_MAX) void this.settle([], [merged(settled)], settled.length);
			return {
				settled,
				unsent: unsent.map(({ update, freezes }, index) => ({ key: keys[index] as number, update, freezes })),
				kept,
				notes: { ...NO_NOTES, ...notes }
			};
		} catch {
			this.broken = true;
			return nothing;
		}
	}

	/** Keys are ours, so that a word carries one from the moment it is written; the random thousandths keep two tabs apart. */
	newKey(): number {
		this.nextKey = Math.max(this.nextKey + 1, Date.now() * 1000 + Math.floor(Math.random() * 1000));
		return this.nextKey;
	}

	async addUnsent({ key, ...word }: UnsentUpdate): Promise<void> {
		await this.write(['unsent'], (store) => store('unsent').put(word, key));
	}

	/** What others wrote, as the server showed it. */
	async addSettled(update: Uint8Array): Promise<void> {
		await this.write(['settled'], (store) => store('settled').add(update));
	}

	/** My own words were acknowledged: they move over. With `replacing`, that many of the oldest settled rows give way to `updates`. */
	async settle(keys: readonly number[], updates: readonly Uint8Array[], replacing = 0): Promise<void> {
		await this.write(['settled', 'unsent'], (store) => {
			if (replacing > 0) deleteFirst(store('settled'), replacing);
			for (const update of updates) store('settled').add(update);
			for (const key of keys) store('unsent').delete(key);
		});
	}

	async note(notes: Notes): Promise<void> {
		await this.write(['notes'], (store) => store('notes').put(notes, 'notes'));
	}

	/** Text and unsent words go, and in the same transaction what was lifted out of them comes: never neither, never both. */
	async startAfresh(lifted: readonly KeptWords[]): Promise<void> {
		await this.write(['settled', 'unsent', 'kept'], (store) => {
			store('settled').clear();
			store('unsent').clear();
			for (const words of lifted) store('kept').put(words);
		});
	}

	async dropKept(keys: readonly number[]): Promise<void> {
		await this.write(['kept'], (store) => keys.forEach((key) => store('kept').delete(key)));
	}

	async close(): Promise<void> {
		const database = await this.database?.catch(() => null);
		this.database = null;
		database?.close();
	}

	/** May we promise that words survive a reload? Private windows and full disks say no. */
	get works(): boolean {
		return !this.broken;
	}

	private async write(names: string[], change: (store: (name: string) => IDBObjectStore) => void): Promise<void> {
		try {
			const database = await this.database;
			if (!database) return;
			const transaction = database.transaction(names, 'readwrite', { durability: 'relaxed' });
			const done = finished(transaction);
			change((name) => transaction.objectStore(name));
			await done;
			this.broken = false;
		} catch {
			this.broken = true;
		}
	}
}

/** Deletes the copy of a document; a tab that still holds it open lets go by itself. */
export function deleteLocalCopy(name: string): Promise<void> {
	return new Promise((resolve) => {
		if (typeof indexedDB === 'undefined') return resolve();
		const request = indexedDB.deleteDatabase(name);
		request.onsuccess = request.onerror = request.onblocked = () => resolve();
	});
}

/** The names of all local copies of one person, for sign-out. */
export async function localCopiesOf(personId: string): Promise<string[]> {
	if (typeof indexedDB === 'undefined' || !indexedDB.databases) return [];
	const all = await indexedDB.databases().catch(() => []);
	return all.flatMap(({ name }) => (name?.startsWith(`${PREFIX}:${personId}:`) ? [name] : []));
}

function openDatabase(name: string): Promise<IDBDatabase> {
	return new Promise((resolve, reject) => {
		if (typeof indexedDB === 'undefined') return reject(new Error('no IndexedDB'));
		const request = indexedDB.open(name, 1);
		request.onupgradeneeded = () => {
			request.result.createObjectStore('settled', { autoIncrement: true });
			request.result.createObjectStore('unsent');
			request.result.createObjectStore('kept', { keyPath: 'key' });
			request.result.createObjectStore('notes');
		};
		request.onsuccess = () => {
			request.result.onversionchange = () => request.result.close();
			resolve(request.result);
		};
		request.onerror = () => reject(request.error ?? new Error('IndexedDB refused'));
	});
}

function result<T>(request: IDBRequest): Promise<T> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result as T);
		request.onerror = () => reject(request.error ?? new Error('IndexedDB refused'));
	});
}

function finished(transaction: IDBTransaction): Promise<void> {
	return new Promise((resolve, reject) => {
		transaction.oncomplete = () => resolve();
		transaction.onerror = transaction.onabort = () => reject(transaction.error ?? new Error('IndexedDB refused'));
	});
}

function deleteFirst(store: IDBObjectStore, count: number): void {
	const request = store.openKeyCursor();
	let left = count;
	request.onsuccess = () => {
		const cursor = request.result;
		if (!cursor || left === 0) return;
		left -= 1;
		store.delete(cursor.primaryKey);
		cursor.continue();
	};
}

/** A document merges better than `Y.mergeUpdates`, which keeps what was collected. */
function merged(updates: readonly Uint8Array[]): Uint8Array {
	const doc = new Y.Doc();
	doc.transact(() => updates.forEach((update) => Y.applyUpdate(doc, update)));
	const state = Y.encodeStateAsUpdate(doc);
	doc.destroy();
	return state;
}
