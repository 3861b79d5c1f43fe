/**
 * My replica of one live document: the Y.Doc, its line to the server, its local copy, and the bookkeeping between them that never
 * loses a word. It holds only what is on the server's disk plus my own unsent words. A refusal for good poisons a replica (whatever is
 * typed later builds on the refused blocks), so then it begins anew: `generation` rises, and the editors are made again.
 *
 * Plain TypeScript; `live.svelte.ts` is what the pages see of it.
 */
import * as Y from 'yjs';
import { Connection, type ConnectionOptions, type ConnectionState } from '$lib/connection/connection';
import type { Message } from '$lib/connection/protocol';
import type { Abilities } from '$lib/protocol/Abilities';
import type { Event } from '$lib/protocol/Event';
import type { Hello } from '$lib/protocol/Hello';
import type { Refused } from '$lib/protocol/Refused';
import { initialSaveState, nextTickMs, reduce, type SaveAction, type SaveState } from '$lib/state/state';
import { SCHEMA_VERSION, wordsOf, type IsMine } from './content';
import { ME } from './goals';
import { LocalCopy, localCopyName, type KeptWords, type Loaded, type Notes } from './local-copy';
import { Presence } from './presence';
import { replant } from './replant';
import { pageUndo } from './undo';
import { Unsent, type Part } from './unsent';

export type Trouble = null | 'not_found' | 'load_failed' | 'signed_out' | 'stopped' | 'unknown_schema';

export interface ReplicaOptions {
	readonly documentId: string;
	readonly personId: string;
	readonly connection?: Partial<ConnectionOptions>;
}

export interface ReplicaListener {
	/** Something that the page shows has changed: status, abilities, trouble, kept words. */
	changed(): void;
	/** A new Y.Doc stands in the place of the old one. */
	replaced(): void;
	/** Words of others are about to come into the text. */
	others(): void;
	presence(): void;
	event(event: Event): void;
}

/** With a server that does not answer, the local copy is shown after this long. */
const LOCAL_COPY_AFTER_MS = 3_000;
/** Nothing to show after this long is said to be a failure; attempts go on. */
const LOAD_FAILED_AFTER_MS = 8_000;
const FAILED_ATTEMPTS_MAX = 3;
/** A replica that keeps being refused stops: so many times within so long. */
const REBUILDS_MAX = 3;
const REBUILDS_WITHIN_MS = 60_000;
/** Origin of what comes from IndexedDB. */
const LOCAL_COPY = Symbol('local copy');
const NOTHING = new Uint8Array([0, 0]);
/** Numbers and length before the bytes of an update. */
const FRAME_HEAD_BYTES = 16;

/** A server that cannot save is offered my words again after this long, if it has not asked for them. */
const OFFER_AGAIN_MS = 20_000;
const COME_BACK_AFTER_STOP_MS = 5_000;
/** A page of another build reloads when nobody has typed for this long. */
const RELOAD_AFTER_IDLE_MS = 5_000;

/** What a refusal left behind, until the server says how much of it it has. */
interface Limbo {
	readonly doc: Y.Doc;
	readonly unsent: Unsent;
	readonly then: 'keep' | 'replant';
	/** The server lost what it had acknowledged: then all that I wrote in this page's life is to be offered. */
	readonly lostClients: ReadonlySet<number>;
	/** Client ids that were refused to me: what the server has under them may be somebody else's, and says nothing about my words. */
	readonly refusedClients: ReadonlySet<number>;
	/** What the server had settled before, for planting my words anew. */
	base: readonly Uint8Array[];
}

export class Replica {
	doc!: Y.Doc;
	presence!: Presence;
	undo!: Y.UndoManager;
	generation = 0;
	ready = false;
	save: SaveState = initialSaveState;
	trouble: Trouble = null;
	hello: Hello | null = null;
	abilities: Abilities | null = null;
	kept: readonly KeptWords[] = [];
	/** The server has said that the document comes near its largest size. */
	nearlyFull = false;

	private readonly connection: Connection;
	private readonly copy: LocalCopy;
	private unsent = new Unsent();
	/** Client ids I have written under in this page's life. */
	private readonly ownClients = new Set<number>();
	private limbo: Limbo | null = null;
	private copyHasContent = false;
	private mayEditOffline = false;
	private knownSchema = SCHEMA_VERSION;
	private seq = 0;
	/** How often the text has been frozen for signing, as far as I have heard. */
	private freezes = 0;
	/** On the present connection: have I answered the server's step 1? Before that, what is typed goes with the answer. */
	private answered = false;
	private synced = false;
	/** As of its last step 1 on this connection. */
	private serverStateVector: Uint8Array | null = null;
	private answerTimer: ReturnType<typeof setTimeout> | undefined;
	private failedAttempts = 0;
	private rebuilds: number[] = [];
	private opened = false;
	private lastTyped = 0;
	private tickTimer: ReturnType<typeof setTimeout> | undefined;
	private loadTimers: ReturnType<typeof setTimeout>[] = [];

	constructor(
		private readonly options: ReplicaOptions,
		private readonly listener: ReplicaListener
	) {
		this.copy = new LocalCopy(localCopyName(options.personId, options.documentId));
		this.connection = new Connection(
			{ url: () => liveUrl(options.documentId), ...options.connection },
			{
				onState: (state) => this.onState(state),
				onMessage: (message) => this.onMessage(message),
				onRefusedByClose: (because) => this.onRefusedByClose(because),
				awaitsAck: () => this.unsent.size > 0 && !this.save.refusing
			}
		);
		this.begin();
	}

	get unsentCount(): number {
		return this.unsent.size + (this.limbo?.unsent.size ?? 0);
	}

	get editable(): boolean {
		return this.ready && this.mayWrite && this.trouble !== 'unknown_schema' && this.trouble !== 'not_found' && this.trouble !== 'stopped';
	}

	private get mayWrite(): boolean {
		return this.abilities ? this.abilities.edit : this.mayEditOffline;
	}

	async open(): Promise<void> {
		if (this.opened) return;
		this.opened = true;
		const loaded = await this.copy.load();
		if (!this.opened) return;
		this.takeCopy(loaded);
		this.loadTimers = [
			setTimeout(() => this.showCopy(), LOCAL_COPY_AFTER_MS),
			setTimeout(() => this.noteLoadFailure(), LOAD_FAILED_AFTER_MS)
		];
		if (isOffline()) {
			this.dispatch({ type: 'line', line: 'offline', now: Date.now() });
			this.showCopy();
		}
		this.connection.open();
	}

	/** Lets go of everything; the local copy stays. */
	async close(): Promise<void> {
		this.opened = false;
		this.connection.close();
		clearTimeout(this.tickTimer);
		this.loadTimers.forEach(clearTimeout);
		this.presence.destroy();
		this.undo.destroy();
		this.doc.destroy();
		await this.copy.close();
	}

	/** Signed in again, or a person asks to try now. */
	resume(): void {
		this.trouble = null;
		this.connection.open();
		this.listener.changed();
	}

	discardKept(): void {
		void this.copy.dropKept(this.kept.map(({ key }) => key));
		this.kept = [];
		this.listener.changed();
	}

	// ---- the life of a Y.Doc

	private begin(): void {
		const doc = new Y.Doc();
		this.doc = doc;
		this.ownClients.add(doc.clientID);
		this.undo = pageUndo(doc, (client) => this.ownClients.has(client));
		this.presence = new Presence(
			doc,
			(states) => this.synced && this.connection.send({ kind: 'awareness', states }),
			() => this.listener.presence()
		);
		doc.on('update', (update: Uint8Array, origin: unknown) => doc === this.doc && this.onUpdate(update, origin));
	}

	private takeCopy({ settled, unsent, kept, notes }: Loaded): void {
		this.seq = notes.seq;
		this.mayEditOffline = notes.mayEdit;
		this.freezes = notes.freezes;
		this.kept = kept;
		if (notes.schema !== 0) this.knownSchema = notes.schema;
		this.copyHasContent = settled.length > 0;
		this.doc.transact(() => {
			for (const update of settled) Y.applyUpdate(this.doc, update);
			for (const { update } of unsent) Y.applyUpdate(this.doc, update);
		}, LOCAL_COPY);
		for (const { key, update, freezes } of unsent) this.unsent.add(key, update, freezes);
		if (unsent.length > 0) this.dispatch({ type: 'wrote', now: Date.now() });
	}

	private onUpdate(update: Uint8Array, origin: unknown): void {
		if (origin === LOCAL_COPY) return;
		if (origin === this) {
			void this.copy.addSettled(update);
			return;
		}
		// Without the right to write nothing can be typed; an editor that tidies up what it does not know is not to be sent.
		if (!this.mayWrite) return;
		this.ownClients.add(this.doc.clientID);
		this.lastTyped = Date.now();
		const key = this.copy.newKey();
		this.unsent.add(key, update, this.freezes);
		void this.copy.addUnsent({ key, update, freezes: this.freezes });
		if (this.isTooLarge(update)) {
			// Not from within the transaction that made it.
			queueMicrotask(() => this.rebuild('keep'));
			return;
		}
		if (this.answered && this.connection.send({ kind: 'update', update })) this.unsent.sent([key]);
		this.presence.wrote();
		this.dispatch({ type: 'wrote', now: Date.now() });
	}

	/** A new id for what I write from now on; what I wrote stays under the old one. */
	private takeNewClientId(): void {
		this.doc.clientID = Math.floor(Math.random() * 0xffff_fffe) + 1;
		this.ownClients.add(this.doc.clientID);
	}

	/** This replica is refused for good: put it aside, begin anew, and come back. */
	private rebuild(
		then: 'keep' | 'replant',
		lostClients: ReadonlySet<number> = new Set(),
		refusedClients: ReadonlySet<number> = new Set()
	): void {
		const now = Date.now();
		this.rebuilds = [...this.rebuilds.filter((at) => now - at < REBUILDS_WITHIN_MS), now];
		const first = this.rebuilds.length === 1;
		const old = this.doc;
		this.connection.close();
		this.presence.destroy();
		this.undo.destroy();
		if (this.limbo) old.destroy();
		else this.limbo = { doc: old, unsent: this.unsent, then: first ? then : 'keep', lostClients, refusedClients, base: [] };
		this.unsent = new Unsent();
		this.ready = false;
		this.begin();
		this.generation += 1;
		this.dispatch({ type: 'loading', now });
		this.listener.replaced();
		if (this.rebuilds.length > REBUILDS_MAX) this.stop('stopped');
		else void this.comeBackAnew(this.limbo);
	}

	private async comeBackAnew(limbo: Limbo): Promise<void> {
		if (limbo.then === 'replant') limbo.base = (await this.copy.load()).settled;
		if (this.opened) this.connection.open();
	}

	/** The server has said what it has: the rest of what I wrote is placed again, or lifted out and kept. */
	private leaveLimbo(clocks: Map<number, number>): void {
		const limbo = this.limbo;
		if (!limbo) return;
		this.limbo = null;
		for (const client of limbo.refusedClients) clocks.delete(client);
		const known = limbo.unsent.settleKnown(clocks).map(({ update }) => update);
		if (limbo.then === 'replant' && limbo.base.length > 0 && this.abilities?.edit) {
			void this.copy.startAfresh([]);
			this.doc.transact(() => [...limbo.base, ...known].forEach((update) => Y.applyUpdate(this.doc, update)), LOCAL_COPY);
			void this.copy.addSettled(Y.encodeStateAsUpdate(this.doc));
			replant(this.doc, limbo.doc, ME);
		} else {
			const unsent = limbo.unsent.isMine();
			const isLost = (client: number, clock: number) => limbo.lostClients.has(client) && clock >= (clocks.get(client) ?? 0);
			this.keep(limbo.doc, (client, clock) => unsent(client, clock) || isLost(client, clock));
		}
		limbo.doc.destroy();
	}

	/** My words go from the text into safe keeping, in one step on disk. */
	private keep(doc: Y.Doc, isMine: IsMine): void {
		const lifted = wordsOf(doc, isMine).map((words) => ({ ...words, key: this.copy.newKey() }));
		this.kept = [...this.kept, ...lifted];
		void this.copy.startAfresh(lifted);
		this.listener.changed();
	}

	/** C9: no coming back by itself. What was not saved is kept apart at once; there will be no later. */
	private stop(trouble: 'stopped' | 'not_found'): void {
		const from = this.limbo ?? { doc: this.doc, unsent: this.unsent };
		// Where access ended, the local copy of the text goes too.
		if (from.unsent.size > 0 || trouble === 'not_found') this.keep(from.doc, from.unsent.isMine());
		from.unsent.clear();
		this.limbo = null;
		this.trouble = trouble;
		this.dispatch({ type: 'settled', now: Date.now() });
		this.listener.changed();
	}

	// ---- the line

	private onState(state: ConnectionState): void {
		switch (state.name) {
			case 'open':
				this.unsent.newConnection();
				this.answered = this.synced = false;
				this.serverStateVector = null;
				this.connection.send({ kind: 'step1', stateVector: Y.encodeStateVector(this.doc) });
				return;
			case 'waiting':
				this.lineLost();
				return;
			case 'stopped':
				this.lineLost();
				if (state.because === 'signed_out') this.trouble = 'signed_out';
				if (state.because === 'not_found') this.stop('not_found');
				this.listener.changed();
				return;
			case 'idle':
			case 'connecting':
				this.answered = this.synced = false;
				if (!isOffline() && this.save.line === 'offline') this.dispatch({ type: 'line', line: 'down', now: Date.now() });
		}
	}

	private lineLost(): void {
		clearTimeout(this.answerTimer);
		if (!this.synced) this.failedAttempts += 1;
		this.answered = this.synced = false;
		this.presence.forgetOthers();
		this.dispatch({ type: 'line', line: isOffline() ? 'offline' : 'down', now: Date.now() });
		if (this.unsent.size > 0 && !isOffline()) void this.askWhoIsToBlame();
		this.showCopy();
		if (this.failedAttempts >= FAILED_ATTEMPTS_MAX) this.noteLoadFailure();
	}

	/** No line, and words of mine are waiting: if the server answers at all, it is not the network. */
	private async askWhoIsToBlame(): Promise<void> {
		if (typeof window === 'undefined') return;
		const answers = await fetch('/healthz', { cache: 'no-store' }).then(
			() => true,
			() => false
		);
		if (answers && this.save.line === 'down') this.dispatch({ type: 'server_answers', now: Date.now() });
	}

	private onRefusedByClose(because: 'stop' | 'new_client_id' | 'frame_too_large'): void {
		// A server that could not save and lost patience has refused nothing for good.
		if (because === 'stop' && this.save.refusing) this.comeBackLater();
		else if (because === 'stop') this.stop('stopped');
		else this.rebuild(because === 'new_client_id' ? this.wayToReturn() : 'keep');
	}

	private comeBackLater(): void {
		this.answerTimer = setTimeout(() => this.opened && this.connection.open(), COME_BACK_AFTER_STOP_MS);
	}

	private onMessage(message: Message): void {
		switch (message.kind) {
			case 'hello':
				this.onHello(message.hello);
				return;
			case 'step1':
				this.onStep1(message.stateVector);
				return;
			case 'step2':
				this.listener.others();
				Y.applyUpdate(this.doc, message.update, this);
				this.onSynced();
				return;
			case 'update':
				this.listener.others();
				Y.applyUpdate(this.doc, message.update, this);
				return;
			case 'awareness':
				this.presence.receive(message.states);
				return;
			case 'query_awareness':
				return;
			case 'saved':
				this.onSaved(message.frames, message.seq);
				return;
			case 'refused':
				this.onRefused(message.refused);
				return;
			case 'event':
				if (message.event.kind === 'nearly_full') {
					this.nearlyFull = true;
					this.listener.changed();
				}
				this.listener.event(message.event);
				return;
			case 'ability':
				this.abilities = message.changed.abilities;
				if (message.changed.reason === 'restored') this.takeNewClientId();
				this.writeNotes();
				this.listener.changed();
		}
	}

	private onHello(hello: Hello): void {
		const lost = hello.seq < this.seq;
		this.hello = hello;
		this.abilities = hello.abilities;
		// It says so again if it still is.
		this.nearlyFull = false;
		this.seq = hello.seq;
		this.knownSchema = hello.schema;
		this.trouble = hello.schema === SCHEMA_VERSION ? null : 'unknown_schema';
		const frozenMeanwhile = hello.freezes > this.freezes;
		this.freezes = Math.max(this.freezes, hello.freezes);
		this.writeNotes();
		this.listener.changed();
		// The server's database went back in time: what it no longer has of others is not mine to send.
		if (lost) this.rebuild('keep', new Set(this.ownClients));
		// S8: what I wrote before a freeze is in the signed text or in none. A freeze retires client ids, too.
		else if (this.unsent.hasOlderThan(hello.freezes)) this.rebuild('keep');
		else {
			if (frozenMeanwhile) this.takeNewClientId();
			this.reloadIfOld(hello.build);
		}
	}

	private onStep1(stateVector: Uint8Array): void {
		clearTimeout(this.answerTimer);
		this.serverStateVector = stateVector;
		this.answer(stateVector);
	}

	/** All that is mine and not settled. Of what is others' the server lacks nothing, so without words of mine the answer is empty. */
	private answer(stateVector: Uint8Array): void {
		const clocks = Y.decodeStateVector(stateVector);
		if (!this.limbo && this.holdsWhatIsGone(clocks)) {
			this.rebuild('keep', new Set(this.ownClients));
			return;
		}
		this.leaveLimbo(clocks);
		const parts = this.answerTo(stateVector);
		if (parts.some(({ update }) => this.isTooLarge(update))) {
			this.rebuild('keep');
			return;
		}
		this.unsent.putBackFrom(0);
		for (const [nth, { keys, update }] of parts.entries()) {
			if (!this.connection.send({ kind: nth === 0 ? 'step2' : 'update', update })) return;
			this.unsent.sent(keys);
		}
		this.answered = true;
		this.lineUpWhenSynced();
	}

	/** One step 2, or, when that would be more than a frame takes, as many updates as it needs. */
	private answerTo(stateVector: Uint8Array): Part[] {
		if (this.unsent.size === 0) return [{ keys: [], update: NOTHING }];
		const update = stateAfter(this.doc, stateVector);
		return this.isTooLarge(update) ? this.unsent.parts(this.updateBytesMax) : [{ keys: this.unsent.keys, update }];
	}

	/** Blocks of others that the server does not have (any more): a restored or another database. They are not mine to send. */
	private holdsWhatIsGone(clocks: Map<number, number>): boolean {
		const isUnsent = this.unsent.isMine();
		return [...Y.decodeStateVector(Y.encodeStateVector(this.doc))].some(([client, clock]) => {
			const known = clocks.get(client) ?? 0;
			return clock > known && !this.ownClients.has(client) && !isUnsent(client, known);
		});
	}

	private onSynced(): void {
		this.synced = true;
		this.failedAttempts = 0;
		if (this.trouble === 'load_failed') this.trouble = null;
		this.presence.greet();
		this.show();
		this.lineUpWhenSynced();
	}

	private lineUpWhenSynced(): void {
		if (this.answered && this.synced) this.dispatch({ type: 'line', line: 'up', now: Date.now() });
	}

	private onSaved(frames: number, seq: number): void {
		const settled = this.unsent.settle(frames);
		this.seq = Math.max(this.seq, seq);
		// What was refused counts as settled too (H3): only words that are on disk are progress.
		if (settled.length > 0) {
			const updates = settled.map(({ update }) => update);
			void this.copy.settle(
				settled.map(({ key }) => key),
				updates
			);
			this.writeNotes();
			this.dispatch({ type: this.unsent.size === 0 ? 'settled' : 'progress', now: Date.now() });
		}
		if (this.unsent.size === 0 && this.hello) this.reloadIfOld(this.hello.build);
	}

	private onRefused({ frame, code, action }: Refused): void {
		switch (action) {
			case 'resync':
				this.unsent.putBackFrom(frame);
				this.answered = false;
				if (code === 'not_saving') this.notSaving();
				return;
			case 'keep_as_proposal':
				this.rebuild('keep');
				return;
			case 'new_client_id':
				this.rebuild(this.wayToReturn(), new Set(), this.unsent.clientsIn(frame));
				return;
			case 'sign_in':
				this.unsent.putBackFrom(frame);
				this.trouble = 'signed_out';
				this.listener.changed();
		}
	}

	/** The server sends its step 1 again when it can save. Should that fail to come, we offer our words by ourselves. */
	private notSaving(): void {
		this.dispatch({ type: 'not_saving', now: Date.now() });
		clearTimeout(this.answerTimer);
		const known = this.serverStateVector;
		if (known) this.answerTimer = setTimeout(() => this.answer(known), OFFER_AGAIN_MS);
	}

	/** Words from before this connection may be older than a freeze, and those never merge by themselves. */
	private wayToReturn(): 'keep' | 'replant' {
		return this.unsent.allFromThisConnection ? 'replant' : 'keep';
	}

	private isTooLarge(update: Uint8Array): boolean {
		return update.length > this.updateBytesMax;
	}

	private get updateBytesMax(): number {
		return this.hello ? this.hello.limits.frame_bytes_max - FRAME_HEAD_BYTES : Infinity;
	}

	// ---- what is shown

	private show(): void {
		if (this.ready) return;
		this.ready = true;
		this.dispatch({ type: 'ready', now: Date.now() });
		this.listener.changed();
	}

	/** Only ever what is there: a failed load never becomes an empty document. */
	private showCopy(): void {
		if (this.ready || this.limbo || !this.copyHasContent || !this.opened) return;
		if (this.knownSchema !== SCHEMA_VERSION) this.trouble = 'unknown_schema';
		this.show();
	}

	private noteLoadFailure(): void {
		if (this.ready || this.trouble || !this.opened) return;
		this.trouble = 'load_failed';
		this.listener.changed();
	}

	private dispatch(action: SaveAction): void {
		const before = this.save;
		this.save = reduce(before, action);
		clearTimeout(this.tickTimer);
		const wait = nextTickMs(this.save, action.now);
		if (wait !== null && this.opened) this.tickTimer = setTimeout(() => this.dispatch({ type: 'tick', now: Date.now() }), wait + 1);
		if (before.status !== this.save.status || (before.waitingSince === null) !== (this.save.waitingSince === null)) this.listener.changed();
	}

	private notes(): Notes {
		return { seq: this.seq, mayEdit: this.abilities?.edit ?? this.mayEditOffline, schema: this.knownSchema, freezes: this.freezes };
	}

	private writeNotes(): void {
		void this.copy.note(this.notes());
	}

	private reloadIfOld(build: string): void {
		if (typeof document === 'undefined' || this.unsentCount > 0) return;
		const page = document.querySelector<HTMLMetaElement>('meta[name="build"]')?.content;
		if (!page || page === build || Date.now() - this.lastTyped < RELOAD_AFTER_IDLE_MS) return;
		// Once for each build: a page that comes back old (from a cache) is not reloaded for ever.
		const tried = 'samspil:reloaded-for';
		if (sessionStorage.getItem(tried) === build) return;
		sessionStorage.setItem(tried, build);
		location.reload();
	}
}

/** Blocks that Yjs holds back for want of their base are not sent: they would arrive with a hole (R2). */
function stateAfter(doc: Y.Doc, stateVector: Uint8Array): Uint8Array {
	const { store } = doc;
	const { pendingStructs, pendingDs } = store;
	store.pendingStructs = store.pendingDs = null;
	const update = Y.encodeStateAsUpdate(doc, stateVector);
	store.pendingStructs = pendingStructs;
	store.pendingDs = pendingDs;
	return update;
}

function liveUrl(documentId: string): string {
	return `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/live/${documentId}`;
}

function isOffline(): boolean {
	return typeof navigator !== 'undefined' && navigator.onLine === false;
}
