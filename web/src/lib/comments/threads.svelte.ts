/**
 * The comments beside one document, as the page has them: fetched, kept up to date by what the socket tells, filtered, with what I am
 * writing myself. What somebody typed stays until the server has it.
 */
import { getContext, setContext, untrack } from 'svelte';
import { TextSelection } from 'prosemirror-state';
import type { EditorView } from 'prosemirror-view';
import { ApiError } from '$lib/api/problem';
import { get, patch, post, remove } from '$lib/api/client';
import type { LiveDocument } from '$lib/document';
import type { About } from '$lib/protocol/About';
import type { Mentionable } from '$lib/protocol/Mentionable';
import type { NewThread } from '$lib/protocol/NewThread';
import type { Person } from '$lib/protocol/Person';
import { fieldOf, placeOf } from './field';
import { commentMarks, insertProposal, markOf, refreshMarks, selectedIn, type MarkSource, type Selected } from './marks';
import { isIn, isSame, type Filter, type Comment, type Thread } from './thread';

/** What is being written: a new thread, or nothing. */
export interface Draft {
	readonly id: string;
	readonly about: About;
}

/** Several changes of one moment are one question. */
const GATHER_MS = 120;
/** A thread that has been open for so long has been read. */
const READ_AFTER_MS = 900;

export class Threads implements MarkSource {
	all = $state.raw<Thread[]>([]);
	state = $state<'loading' | 'ready' | 'failed'>('loading');
	filter = $state<Filter>('open');
	current = $state<string | null>(null);
	draft = $state.raw<Draft | null>(null);
	/** Notes stand beside the text; on a narrow screen they are a list of their own. */
	private beside = true;
	/** Rises whenever marks may stand elsewhere on the page. */
	layoutStale = $state(0);
	/** Threads that I have not read, by the comment that was the first new one. */
	private seen = new Map<string, number>();
	private readonly views = new Map<string, Set<EditorView>>();
	private byField = new Map<string, Thread[]>();
	private timer: ReturnType<typeof setTimeout> | null = null;
	private readTimer: ReturnType<typeof setTimeout> | null = null;
	private closed = false;

	constructor(
		readonly live: LiveDocument,
		private readonly focusNote: (id: string) => void
	) {}

	readonly shownThreads = $derived(this.all.filter((thread) => isIn(this.filter, thread)));
	readonly unread = $derived(this.all.filter((thread) => thread.unread_from !== null).length);
	readonly mayComment = $derived.by(() => this.live.abilities?.comment === true && this.live.trouble === null);

	count(filter: Filter): number {
		return this.all.filter((thread) => isIn(filter, thread)).length;
	}

	/** Open threads at a section or one of its goals, for the outline. */
	openAt(places: readonly string[]): number {
		return this.all.filter((thread) => thread.state === 'open' && places.includes(placeOfThread(thread) ?? '')).length;
	}

	thread(id: string | null): Thread | null {
		return this.all.find((thread) => thread.id === id) ?? null;
	}

	// ---- staying up to date

	async load(): Promise<void> {
		try {
			this.take(await get<Thread[]>(`/api/documents/${this.live.documentId}/threads`));
			this.state = 'ready';
		} catch (error) {
			if (error instanceof ApiError && (error.kind === 'forbidden' || error.kind === 'not-found')) {
				this.take([]);
				this.state = 'ready';
			} else if (this.state !== 'ready') this.state = 'failed';
		}
	}

	changed(): void {
		this.timer ??= setTimeout(() => {
			this.timer = null;
			if (!this.closed) void this.load();
		}, GATHER_MS);
	}

	close(): void {
		this.closed = true;
		if (this.timer) clearTimeout(this.timer);
		if (this.readTimer) clearTimeout(this.readTimer);
	}

	/** What is as it was stays the very same thread, so that only notes and marks of what changed are made anew. */
	private take(threads: Thread[]): void {
		const held = new Map(this.all.map((thread) => [thread.id, thread]));
		const all = threads.map((thread) => {
			const before = held.get(thread.id);
			return before && isSame(before, thread) ? before : thread;
		});
		const stays = new Set(all);
		const changed = [...this.all.filter((thread) => !stays.has(thread)), ...all.filter((thread) => held.get(thread.id) !== thread)];
		if (changed.length === 0) return;
		this.all = all;
		this.byField = new Map();
		for (const thread of all) {
			if (thread.state !== 'open' || !thread.anchor) continue;
			const list = this.byField.get(thread.anchor.field);
			if (list) list.push(thread);
			else this.byField.set(thread.anchor.field, [thread]);
		}
		const fields = new Set(changed.map(({ anchor }) => anchor?.field));
		for (const field of fields) this.views.get(field ?? '')?.forEach(refreshMarks);
		this.moved();
	}

	/** One thread as the server has it now. */
	private put(thread: Thread): Thread {
		const others = this.all.filter(({ id }) => id !== thread.id);
		const index = this.all.findIndex(({ id }) => id === thread.id);
		this.take(index < 0 ? [...others, thread] : [...others.slice(0, index), thread, ...others.slice(index)]);
		return thread;
	}

	// ---- marks in the text

	threadsIn(field: string): readonly Thread[] {
		return this.byField.get(field) ?? [];
	}

	shown(field: string, view: EditorView): () => void {
		const views = this.views.get(field) ?? new Set();
		this.views.set(field, views.add(view));
		untrack(() => this.moved());
		return () => {
			views.delete(view);
		};
	}

	noteShown(thread: Thread): boolean {
		return this.beside && isIn(this.filter, thread);
	}

	/** Other notes are shown now, or in another place. */
	showBeside(beside = this.beside): void {
		this.beside = beside;
		for (const field of this.byField.keys()) this.views.get(field)?.forEach(refreshMarks);
		this.moved();
	}

	moved(): void {
		this.layoutStale += 1;
	}

	plugins(fragment: Parameters<typeof fieldOf>[0]) {
		const field = fieldOf(fragment);
		return field === null ? [] : [commentMarks(field, this)];
	}

	/** Opens a thread. A click in the text leaves the caret where it was put; a key goes to the note. */
	choose(id: string, focus = true): void {
		const before = this.current;
		this.current = id;
		const thread = this.thread(id);
		if (thread && !isIn(this.filter, thread)) {
			this.filter = thread.state === 'open' ? 'open' : 'resolved';
			this.showBeside();
		}
		for (const one of [before, id]) {
			const field = this.thread(one)?.anchor?.field;
			if (field) this.views.get(field)?.forEach(refreshMarks);
		}
		this.moved();
		this.readSoon(id);
		if (focus && before !== id) this.focusNote(id);
	}

	leave(): void {
		const field = this.thread(this.current)?.anchor?.field;
		this.current = null;
		if (field) this.views.get(field)?.forEach(refreshMarks);
		this.moved();
	}

	/** What is selected in any of the texts. */
	selected(): Selected | null {
		for (const [field, views] of this.views) {
			for (const view of views) {
				const selected = selectedIn(view, field);
				if (selected) return selected;
			}
		}
		return null;
	}

	/** The text that a thread's words stand in, with where. */
	wordsOf(thread: Thread): { view: EditorView; from: number; to: number } | null {
		for (const view of this.views.get(thread.anchor?.field ?? '') ?? []) {
			const mark = markOf(view, thread.id);
			if (mark) return { view, ...mark };
		}
		return null;
	}

	/** Puts the focus on the words, or on the place where they stood. */
	goToWords(thread: Thread): void {
		const words = this.wordsOf(thread);
		if (words) {
			words.view.dom.querySelector(`mark[data-thread="${thread.id}"]`)?.scrollIntoView({ block: 'center' });
			words.view.dom.tabIndex = words.view.editable ? 0 : -1;
			words.view.focus();
			if (words.view.editable) {
				const { state } = words.view;
				words.view.dispatch(state.tr.setSelection(TextSelection.create(state.doc, words.from)));
			}
			return;
		}
		const place = placeOfThread(thread);
		const heading = place ? document.getElementById(`${place}-title`) : document.querySelector<HTMLElement>('main h1');
		heading?.scrollIntoView({ block: 'center' });
		heading?.focus({ preventScroll: true });
	}

	/** In the order of the text: the next open thread after the current one, or before it. */
	step(by: 1 | -1): void {
		const list = [...document.querySelectorAll<HTMLElement>('[data-note]')].map((note) => note.dataset.note!);
		if (list.length === 0) return;
		const at = this.current === null ? (by === 1 ? -1 : 0) : list.indexOf(this.current);
		this.choose(list[(at + by + list.length) % list.length]!);
	}

	// ---- writing

	begin(about: About): void {
		this.filter = 'open';
		this.showBeside();
		this.leave();
		this.draft = { id: crypto.randomUUID(), about };
		this.moved();
	}

	endDraft(): void {
		this.draft = null;
		this.moved();
	}

	async create(draft: Draft, words: NewWords, forMeeting: boolean, proposal: string | null): Promise<void> {
		const thread = await post<Thread>(`/api/documents/${this.live.documentId}/threads`, {
			id: draft.id,
			about: draft.about,
			...body(words),
			for_meeting: forMeeting,
			proposal
		} satisfies NewThread);
		this.put(thread);
		this.endDraft();
		this.choose(thread.id);
	}

	async reply(thread: Thread, id: string, words: NewWords, reopen: boolean): Promise<void> {
		this.put(await post<Thread>(`/api/threads/${thread.id}/comments`, { id, ...body(words), reopen }));
	}

	async edit(comment: Comment, words: NewWords): Promise<void> {
		this.put(await patch<Thread>(`/api/comments/${comment.id}`, body(words), comment.version));
	}

	async delete(comment: string): Promise<void> {
		await remove(`/api/comments/${comment}`);
		await this.load();
	}

	async resolve(thread: Thread): Promise<Thread> {
		return this.put(await post<Thread>(`/api/threads/${thread.id}/resolve`, {}));
	}

	async reopen(thread: Thread): Promise<Thread> {
		return this.put(await post<Thread>(`/api/threads/${thread.id}/reopen`, {}));
	}

	async setForMeeting(thread: Thread, on: boolean): Promise<void> {
		this.put(await post<Thread>(`/api/threads/${thread.id}/for-meeting`, { on }));
	}

	/**
	 * Puts the proposed words in, once: the server gives the right to do so to one person, and only while the words still stand. They are
	 * in when they are saved; that they are is said only then.
	 */
	async insert(thread: Thread): Promise<'inserted' | 'changed'> {
		const proposal = thread.proposal;
		if (!proposal) return 'changed';
		const claimed = this.put(await post<Thread>(`/api/threads/${thread.id}/proposal/claim`, {}));
		for (const view of this.views.get(claimed.anchor?.field ?? '') ?? []) {
			const { generation } = this.live;
			if (!this.live.step(() => insertProposal(view, claimed, proposal.text))) continue;
			await this.live.saved();
			// The text was closed meanwhile, and my words are kept apart.
			if (generation !== this.live.generation) return 'changed';
			this.put(await post<Thread>(`/api/threads/${thread.id}/proposal`, { outcome: 'inserted' }));
			return 'inserted';
		}
		// The right to insert lapses by itself.
		return 'changed';
	}

	async decline(thread: Thread): Promise<void> {
		this.put(await post<Thread>(`/api/threads/${thread.id}/proposal`, { outcome: 'declined' }));
	}

	async mentionable(words: string): Promise<Person[]> {
		return (await get<Mentionable>(`/api/documents/${this.live.documentId}/mentionable?q=${encodeURIComponent(words)}`)).items;
	}

	private readSoon(id: string): void {
		const thread = this.thread(id);
		if (!thread || thread.unread_from === null) return;
		const last = thread.comments.at(-1)?.number ?? 0;
		if ((this.seen.get(id) ?? 0) >= last) return;
		if (this.readTimer) clearTimeout(this.readTimer);
		this.readTimer = setTimeout(() => {
			if (this.closed || this.current !== id) return;
			this.seen.set(id, last);
			void post(`/api/documents/${this.live.documentId}/threads/read`, { up_to: { [id]: last } })
				.then(() => {
					this.all = this.all.map((one) => (one.id === id ? { ...one, unread_from: null } : one));
				})
				.catch(() => this.seen.delete(id));
		}, READ_AFTER_MS);
	}
}

/** What was typed, and who is named in it. */
export interface NewWords {
	readonly body: string;
	readonly mentions: readonly Person[];
	/** I have been told that it reads like a CPR number, and want to send it. */
	readonly confirmed: boolean;
}

function body({ body, mentions, confirmed }: NewWords) {
	const named = mentions.filter(({ name }) => body.includes(`@${name}`)).map(({ id }) => id);
	return { body, mentions: named, confirmed_personal_data: confirmed };
}

/** Where on the page a thread belongs; `null`: to the whole agreement. */
export function placeOfThread(thread: Thread): string | null {
	const { about } = thread;
	if (thread.anchor) return placeOf(thread.anchor.field);
	return about.goal_id ?? about.section_key;
}

const KEY = Symbol('threads');
export function provideThreads(threads: Threads): Threads {
	return setContext(KEY, threads);
}
export function threads(): Threads | undefined {
	return getContext(KEY);
}
