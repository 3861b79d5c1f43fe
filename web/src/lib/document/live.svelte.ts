/**
 * A live document as the pages see it: reactive fields over a `Replica`. Components show these and call these; they decide nothing.
 */
import { untrack } from 'svelte';
import * as Y from 'yjs';
import type { Abilities } from '$lib/protocol/Abilities';
import type { Event } from '$lib/protocol/Event';
import type { GoalOrigin } from '$lib/protocol/GoalOrigin';
import type { NewProposal } from '$lib/protocol/NewProposal';
import type { PeerPerson } from '$lib/protocol/PeerPerson';
import type { SaveStatus } from '$lib/state/state';
import { readCaret } from './caret';
import { textOf } from './content';
import * as goals from './goals';
import type { Goal, IndicatorValues, Relation } from './goals';
import { deleteLocalCopy, localCopiesOf, LocalCopy, type Words } from './local-copy';
import type { Peer } from './presence';
import { replant } from './replant';
import { Replica, type ReplicaOptions, type Trouble } from './replica';

export type LiveEvent =
	| Event
	| { kind: 'joined' | 'left'; person: PeerPerson }
	/** Somebody began to write in a place. */
	| { kind: 'wrote'; person: PeerPerson; place: string | null }
	| { kind: 'save'; status: SaveStatus };

/** Who is here when I come, or after a break, has not just joined. */
const SETTLING_MS = 2_000;
/** Gone for less than this is not left. */
const LEFT_AFTER_MS = 5_000;
/** Signed out: how often we look whether somebody signed in again, in another tab. */
const LOOK_FOR_SESSION_MS = 30_000;

export class LiveDocument {
	readonly documentId: string;
	readonly personId: string;
	/** Rises when the document is made anew; editors are made anew with it. */
	generation = $state(0);
	ready = $state(false);
	doc = $state.raw<Y.Doc>(null as unknown as Y.Doc);
	save = $state.raw<SaveStatus>({ kind: 'loading' });
	trouble = $state<Trouble>(null);
	abilities = $state.raw<Abilities | null>(null);
	editable = $state(false);
	peers = $state.raw<Peer[]>([]);
	unsent = $state(false);
	keptWords = $state.raw<readonly Words[]>([]);
	/** It comes near its largest size. */
	nearlyFull = $state(false);
	goals = $state.raw<Goal[]>([]);
	canUndo = $state(false);
	canRedo = $state(false);
	/** For the editors. */
	readonly replica: Replica;

	private readonly listeners = new Set<(event: LiveEvent) => void>();
	private readonly waiting: (() => void)[] = [];
	private readonly here = new Map<string, { person: PeerPerson; leaving?: ReturnType<typeof setTimeout> }>();
	private readonly writing = new Map<number, string | null>();
	private lineUpAt = Infinity;
	private goalsStale = false;
	private sessionTimer: ReturnType<typeof setInterval> | undefined;

	constructor(options: ReplicaOptions) {
		this.documentId = options.documentId;
		this.personId = options.personId;
		this.replica = new Replica(options, {
			changed: () => this.refresh(),
			replaced: () => this.adopt(),
			others: readCaret,
			presence: () => this.refreshPeers(),
			event: (event) => this.emit(event)
		});
		this.adopt();
	}

	open(): void {
		window.addEventListener('beforeunload', this.onBeforeUnload);
		window.addEventListener('focus', this.lookForSession);
		void this.replica.open();
	}

	close(): void {
		window.removeEventListener('beforeunload', this.onBeforeUnload);
		window.removeEventListener('focus', this.lookForSession);
		clearInterval(this.sessionTimer);
		for (const { leaving } of this.here.values()) clearTimeout(leaving);
		void this.replica.close();
	}

	/** Try again after `load_failed`, `stopped` or `signed_out`. */
	resume(): void {
		this.replica.resume();
	}

	section(key: string): Y.XmlFragment {
		return this.doc.getXmlFragment(`section:${key}`);
	}

	textOf(fragment: Y.XmlFragment): string {
		return textOf(fragment);
	}

	// ---- goals

	addGoal(origin: GoalOrigin): string {
		return this.change((doc) => goals.addGoal(doc, origin));
	}

	removeGoal(id: string): void {
		this.change((doc) => goals.removeGoal(doc, id));
	}

	moveGoal(id: string, direction: 'up' | 'down'): void {
		this.change((doc) => goals.moveGoal(doc, id, direction));
	}

	setGoalDue(id: string, due: string | null): void {
		this.change((doc) => goals.setGoalDue(doc, id, due));
	}

	addAction(goalId: string): string {
		return this.change((doc) => goals.addAction(doc, goalId));
	}

	removeAction(goalId: string, id: string): void {
		this.change((doc) => goals.removeFrom(doc, goalId, 'actions', id));
	}

	setActionDue(goalId: string, id: string, due: string | null): void {
		this.change((doc) => goals.setActionDue(doc, goalId, id, due));
	}

	addIndicator(goalId: string): string {
		return this.change((doc) => goals.addIndicator(doc, goalId));
	}

	removeIndicator(goalId: string, id: string): void {
		this.change((doc) => goals.removeFrom(doc, goalId, 'indicators', id));
	}

	setIndicator(goalId: string, id: string, values: Partial<IndicatorValues>): void {
		this.change((doc) => goals.setIndicator(doc, goalId, id, values));
	}

	addLink(goalId: string, target: string, relation: Relation): string {
		return this.change((doc) => goals.addLink(doc, goalId, target, relation));
	}

	removeLink(goalId: string, id: string): void {
		this.change((doc) => goals.removeFrom(doc, goalId, 'links', id));
	}

	// ---- my own words

	/**
	 * Brings an older text back, given as the update of a document of its own: as an edit of mine that changes what differs and nothing
	 * else, one step of undo. `false`: nothing differs.
	 */
	restore(older: Uint8Array): boolean {
		let changed = false;
		this.change((doc) => {
			const before = new Y.Doc();
			Y.applyUpdate(before, older);
			const differs = () => (changed = true);
			doc.on('update', differs);
			replant(doc, before, goals.ME);
			doc.off('update', differs);
			before.destroy();
		});
		return changed;
	}

	undo(): boolean {
		return this.editable && this.replica.undo.undo() !== null;
	}

	redo(): boolean {
		return this.editable && this.replica.undo.redo() !== null;
	}

	discardKeptWords(): void {
		this.replica.discardKept();
	}

	/** Gives them to the server as a proposal of mine. They stay here until it has them. */
	async saveKeptWords(): Promise<void> {
		const body: NewProposal = { pieces: this.keptWords.map(({ place, text }) => ({ place, text })) };
		const answer = await fetch(`/api/documents/${this.documentId}/proposals`, {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify(body)
		});
		if (!answer.ok) throw new Error(`The proposal was not kept: ${answer.status}`);
		this.replica.discardKept();
	}

	/** At sign-out: the local copies of this person go, unless something in them is nowhere else; then nothing of those is touched. */
	async signOutCleanup(): Promise<'clean' | 'unsent'> {
		if (this.unsent || this.keptWords.length > 0) return 'unsent';
		this.close();
		return cleanLocalCopies(this.personId);
	}

	// ---- presence

	/** Where I am: a section key or goal id. */
	setPlace(place: string | null): void {
		this.replica.presence.setPlace(place);
	}

	/** Settles when everything that I have written so far is on disk. */
	saved(): Promise<void> {
		return this.replica.unsentCount === 0 ? Promise.resolve() : new Promise((settled) => this.waiting.push(settled));
	}

	/** What happens in this is a step of undo by itself. */
	step<Result>(act: () => Result): Result {
		this.replica.undo.stopCapturing();
		const result = act();
		this.replica.undo.stopCapturing();
		return result;
	}

	onEvent(listener: (event: LiveEvent) => void): () => void {
		this.listeners.add(listener);
		return () => this.listeners.delete(listener);
	}

	private change<Result>(act: (doc: Y.Doc) => Result): Result {
		return this.step(() => act(this.doc));
	}

	private emit(event: LiveEvent): void {
		untrack(() => this.listeners.forEach((listener) => listener(event)));
	}

	private adopt(): void {
		const { doc, undo } = this.replica;
		this.doc = doc;
		this.generation = this.replica.generation;
		doc.getMap('goals').observeDeep(() => this.refreshGoalsSoon());
		const stacks = () => {
			this.canUndo = undo.canUndo();
			this.canRedo = undo.canRedo();
		};
		undo.on('stack-item-added', stacks);
		undo.on('stack-item-popped', stacks);
		undo.on('stack-cleared', stacks);
		stacks();
		this.refreshGoals();
		this.refresh();
	}

	private refresh(): void {
		const { replica } = this;
		this.ready = replica.ready;
		this.trouble = replica.trouble;
		this.abilities = replica.abilities;
		this.editable = replica.editable;
		this.unsent = replica.unsentCount > 0;
		if (!this.unsent) for (const settled of this.waiting.splice(0)) settled();
		this.keptWords = replica.kept;
		this.nearlyFull = replica.nearlyFull;
		this.lookForSessionWhen(replica.trouble === 'signed_out');
		const up = replica.save.line === 'up';
		if (up !== (this.lineUpAt !== Infinity)) this.lineUpAt = up ? Date.now() : Infinity;
		if (this.save !== replica.save.status) {
			this.save = replica.save.status;
			this.emit({ kind: 'save', status: this.save });
		}
		this.refreshPeers();
	}

	/** One reading for however many changes one moment brings. */
	private refreshGoalsSoon(): void {
		if (this.goalsStale) return;
		this.goalsStale = true;
		queueMicrotask(() => this.refreshGoals());
	}

	private refreshGoals(): void {
		this.goalsStale = false;
		this.goals = goals.readGoals(this.doc);
	}

	private refreshPeers(): void {
		const others = this.replica.presence.others();
		const hello = this.replica.hello;
		const local = this.replica.presence.local();
		const me: Peer[] = hello
			? [
					{
						peerId: hello.peer_id,
						person: hello.person,
						self: true,
						away: local.away === true,
						place: typeof local.place === 'string' ? local.place : null,
						writing: local.writing === true
					}
				]
			: [];
		const peers = [...me, ...others];
		if (JSON.stringify(peers) !== JSON.stringify(this.peers)) this.peers = peers;
		this.noteComingAndGoing(others);
		this.noteWriting(others);
	}

	private noteComingAndGoing(others: readonly Peer[]): void {
		if (this.lineUpAt === Infinity) return;
		const settling = Date.now() - this.lineUpAt < SETTLING_MS;
		const present = new Map(others.filter(({ person }) => person.id !== this.personId).map(({ person }) => [person.id, person]));
		for (const [id, person] of present) {
			const known = this.here.get(id);
			clearTimeout(known?.leaving);
			this.here.set(id, { person });
			if (!known && !settling) this.emit({ kind: 'joined', person });
		}
		for (const [id, entry] of this.here) {
			if (present.has(id) || entry.leaving) continue;
			entry.leaving = setTimeout(() => {
				this.here.delete(id);
				if (this.lineUpAt !== Infinity) this.emit({ kind: 'left', person: entry.person });
			}, LEFT_AFTER_MS);
		}
	}

	private noteWriting(others: readonly Peer[]): void {
		for (const { peerId, person, writing, place } of others) {
			const before = this.writing.has(peerId) ? this.writing.get(peerId) : undefined;
			if (!writing) this.writing.delete(peerId);
			else if (before !== place) {
				this.writing.set(peerId, place);
				if (person.id !== this.personId) this.emit({ kind: 'wrote', person, place });
			}
		}
	}

	/** Asked only when something of mine could be lost, and the local copy may not be able to hold it. */
	private readonly onBeforeUnload = (event: BeforeUnloadEvent): void => {
		if (this.replica.unsentCount > 0) event.preventDefault();
	};

	private lookForSessionWhen(signedOut: boolean): void {
		if (signedOut && !this.sessionTimer) this.sessionTimer = setInterval(this.lookForSession, LOOK_FOR_SESSION_MS);
		if (!signedOut) {
			clearInterval(this.sessionTimer);
			this.sessionTimer = undefined;
		}
	}

	/** C9: after 4401 we come back once the same person is signed in again. */
	private readonly lookForSession = async (): Promise<void> => {
		if (this.replica.trouble !== 'signed_out') return;
		const me = await fetch('/api/me')
			.then((answer) => (answer.ok ? answer.json() : null))
			.catch(() => null);
		if (me?.person?.id === this.personId && this.replica.trouble === 'signed_out') this.replica.resume();
	};
}

/** Deletes a person's local copies that hold nothing of their own; `unsent` when one does. */
export async function cleanLocalCopies(personId: string): Promise<'clean' | 'unsent'> {
	let outcome: 'clean' | 'unsent' = 'clean';
	for (const name of await localCopiesOf(personId)) {
		const copy = new LocalCopy(name);
		const { unsent, kept } = await copy.load();
		await copy.close();
		if (unsent.length > 0 || kept.length > 0) outcome = 'unsent';
		else await deleteLocalCopy(name);
	}
	return outcome;
}

/** After the person has said so: everything goes, unsent words too. */
export async function forgetLocalCopies(personId: string): Promise<void> {
	for (const name of await localCopiesOf(personId)) await deleteLocalCopy(name);
}
