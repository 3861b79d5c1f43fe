/**
 * For tests: a room that speaks SPEC.md as far as a client can see it, in memory. It admits everything unless told otherwise, commits
 * at once unless told to hold, and does to a client what a real server may: refuse, freeze, vanish, forget.
 */
import * as Y from 'yjs';
import { decode, encode, type Message } from '$lib/connection/protocol';
import type { Abilities } from '$lib/protocol/Abilities';
import type { AbilityReason } from '$lib/protocol/AbilityReason';
import type { PeerPerson } from '$lib/protocol/PeerPerson';
import type { RefusalAction } from '$lib/protocol/RefusalAction';
import type { RefusalCode } from '$lib/protocol/RefusalCode';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { paragraph } from './content';

export const MAY_EDIT: Abilities = { read: true, comment: true, edit: true, read_only_because: null, party: 'unit_leader', history: true };
export const MAY_READ: Abilities = { ...MAY_EDIT, edit: false, read_only_because: 'frozen' };

interface Verdict {
	code: RefusalCode;
	action: RefusalAction;
}

const GAP: Verdict = { code: 'gap', action: 'resync' };

interface RoomPeer {
	socket: FakeSocket;
	id: number;
	person: PeerPerson;
	client: number | null;
	state: unknown;
	clock: number;
	frames: number;
	/** S4: gaps after a gap are dropped without a word until the next step 2. */
	resyncing: boolean;
	/** Frames that are not yet acknowledged. */
	held: Uint8Array[];
}

export class FakeRoom {
	doc = new Y.Doc();
	seq = 1;
	abilities = MAY_EDIT;
	schema = 1;
	/** How often the text was frozen. */
	freezes = 0;
	/** Frames are accepted but not committed. */
	holding = false;
	/** No new socket gets through, and a socket that stands goes silent. */
	dead = false;
	/** A larger frame closes the socket (L1). */
	frameBytesMax = 1 << 20;
	/** Decides about each update; null admits. */
	judge: (update: Uint8Array) => Verdict | null = () => null;
	/** Every update frame that ever came. */
	readonly received: Uint8Array[] = [];
	connections = 0;
	private readonly peers = new Set<RoomPeer>();
	private nextPeer = 1;

	constructor(sections: string[] = ['kerneopgave', 'rammer']) {
		this.doc.clientID = 1;
		this.doc.transact(() => sections.forEach((key) => this.doc.getXmlFragment(`section:${key}`).insert(0, [paragraph()])));
	}

	/** What a replica is given instead of `WebSocket`. */
	socketFor(person: PeerPerson): (url: string) => WebSocket {
		return () => new FakeSocket(this, person) as unknown as WebSocket;
	}

	join(socket: FakeSocket, person: PeerPerson): void {
		this.connections += 1;
		const peer: RoomPeer = { socket, id: this.nextPeer++, person, client: null, state: null, clock: 0, frames: 0, resyncing: false, held: [] };
		this.peers.add(peer);
		socket.peer = peer;
		socket.deliver({
			kind: 'hello',
			hello: {
				schema: this.schema,
				peer_id: peer.id,
				person,
				abilities: this.abilities,
				limits: { frame_bytes_max: this.frameBytesMax, peer_updates_per_s: 60, presence_bytes_max: 1024 },
				build: 'test',
				seq: this.seq,
				freezes: this.freezes
			}
		});
		socket.deliver({ kind: 'step1', stateVector: Y.encodeStateVector(this.doc) });
		for (const other of this.peers) if (other !== peer && other.state) socket.deliver(presence(other));
	}

	leave(socket: FakeSocket): void {
		const peer = socket.peer;
		if (!peer || !this.peers.delete(peer)) return;
		if (peer.client !== null) this.broadcast(presence({ ...peer, state: null, clock: peer.clock + 1 }), peer);
	}

	receive(socket: FakeSocket, message: Message): void {
		const peer = socket.peer;
		if (!peer || !this.peers.has(peer) || this.dead) return;
		switch (message.kind) {
			case 'step1':
				socket.deliver({ kind: 'step2', update: Y.encodeStateAsUpdate(this.doc, message.stateVector) });
				return;
			case 'step2':
				peer.resyncing = false;
				this.admit(peer, message.update);
				return;
			case 'update':
				this.admit(peer, message.update);
				return;
			case 'awareness':
				this.relay(peer, message.states);
				return;
			case 'query_awareness':
				socket.deliver(presence({ ...peer, state: peer.state ?? {}, client: peer.client ?? 0 }));
		}
	}

	private admit(peer: RoomPeer, update: Uint8Array): void {
		peer.frames += 1;
		this.received.push(update);
		const verdict = isEmpty(update) ? null : peer.resyncing ? GAP : this.judge(update);
		if (verdict) {
			if (!peer.resyncing) peer.socket.deliver({ kind: 'refused', refused: { frame: peer.frames, ...verdict } });
			if (verdict.code === 'gap' && !peer.resyncing) {
				peer.resyncing = true;
				peer.socket.deliver({ kind: 'step1', stateVector: Y.encodeStateVector(this.doc) });
			}
			if (this.peers.has(peer)) peer.socket.deliver({ kind: 'saved', frames: peer.frames, seq: this.seq });
			return;
		}
		peer.held.push(update);
		if (!this.holding) this.commit();
	}

	/** It can save again, and asks for what was turned away. */
	askAgain(): void {
		for (const { socket } of this.peers) socket.deliver({ kind: 'step1', stateVector: Y.encodeStateVector(this.doc) });
	}

	/** Commits what is held, acknowledges, then shows it to the others. */
	commit(): void {
		for (const peer of this.peers) {
			const held = peer.held.splice(0);
			if (held.length === 0) continue;
			for (const update of held) Y.applyUpdate(this.doc, update);
			this.seq += held.filter((update) => !isEmpty(update)).length;
			peer.socket.deliver({ kind: 'saved', frames: peer.frames, seq: this.seq });
			for (const update of held) if (!isEmpty(update)) this.broadcast({ kind: 'update', update }, peer);
		}
	}

	private relay(peer: RoomPeer, states: Uint8Array): void {
		const decoder = decoding.createDecoder(states);
		if (decoding.readVarUint(decoder) !== 1) return;
		const client = decoding.readVarUint(decoder);
		peer.client ??= client;
		decoding.readVarUint(decoder);
		const said = JSON.parse(decoding.readVarString(decoder));
		peer.clock += 1;
		peer.state = said && { ...said, user: { ...peer.person, color: '#123456', peer_id: peer.id } };
		this.broadcast(presence(peer), peer);
	}

	change(abilities: Abilities, reason: AbilityReason): void {
		this.abilities = abilities;
		for (const { socket } of this.peers) socket.deliver({ kind: 'ability', changed: { abilities, reason } });
	}

	/** What a page that comes now is told of the document's size. */
	nearlyFull(): void {
		for (const { socket } of this.peers) socket.deliver({ kind: 'event', event: { kind: 'nearly_full' } });
	}

	closeAll(code: number): void {
		for (const { socket } of [...this.peers]) socket.closeFromServer(code);
	}

	private broadcast(message: Message, except: RoomPeer): void {
		for (const peer of this.peers) if (peer !== except) peer.socket.deliver(message);
	}

	textOf(key: string): string {
		return this.doc.getXmlFragment(`section:${key}`).toString();
	}
}

function isEmpty(update: Uint8Array): boolean {
	return update.length === 2 && update[0] === 0 && update[1] === 0;
}

function presence({ client, clock, state }: Pick<RoomPeer, 'client' | 'clock' | 'state'>): Message {
	const encoder = encoding.createEncoder();
	encoding.writeVarUint(encoder, 1);
	encoding.writeVarUint(encoder, client ?? 0);
	encoding.writeVarUint(encoder, clock);
	encoding.writeVarString(encoder, JSON.stringify(state));
	return { kind: 'awareness', states: encoding.toUint8Array(encoder) };
}

/** Opens and delivers in the next microtask, in order, as a socket would. */
export class FakeSocket {
	readyState = 0;
	binaryType = 'arraybuffer';
	peer: RoomPeer | null = null;
	onopen: (() => void) | null = null;
	onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
	onclose: ((event: { code: number }) => void) | null = null;

	constructor(
		private readonly room: FakeRoom,
		person: PeerPerson
	) {
		queueMicrotask(() => {
			if (this.readyState !== 0) return;
			if (room.dead) {
				this.closeFromServer(1006);
				return;
			}
			this.readyState = 1;
			this.onopen?.();
			room.join(this, person);
		});
	}

	send(bytes: Uint8Array): void {
		const copy = bytes.slice();
		queueMicrotask(() => {
			if (copy.length > this.room.frameBytesMax) return this.closeFromServer(1009);
			const message = decode(copy);
			if (message) this.room.receive(this, message);
		});
	}

	deliver(message: Message): void {
		if (this.room.dead) return;
		const bytes = encode(message);
		queueMicrotask(() => this.readyState === 1 && this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer }));
	}

	close(): void {
		this.readyState = 3;
		queueMicrotask(() => this.room.leave(this));
	}

	closeFromServer(code: number): void {
		this.readyState = 3;
		this.room.leave(this);
		queueMicrotask(() => this.onclose?.({ code }));
	}
}
