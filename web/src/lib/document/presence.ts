/**
 * Who is here. The server writes names and colours into every state (P3), so only what it has written is believed; what we send is
 * where I am. Sent at most every so often: the server drops what comes faster, and the last state must not be the one it drops.
 */
import * as awarenessProtocol from 'y-protocols/awareness';
import type * as Y from 'yjs';
import type { PeerPerson } from '$lib/protocol/PeerPerson';

/** P4 allows ten a second. */
const SEND_EVERY_MS = 125;
/** So long after the last key I no longer write. */
const WRITING_MS = 3_000;

export interface Peer {
	readonly peerId: number;
	readonly person: PeerPerson;
	readonly self: boolean;
	readonly away: boolean;
	/** A section key or goal id. */
	readonly place: string | null;
	readonly writing: boolean;
}

interface State {
	user?: PeerPerson & { peer_id?: number };
	place?: unknown;
	writing?: unknown;
	away?: unknown;
}

export class Presence {
	readonly awareness: awarenessProtocol.Awareness;
	private sendTimer: ReturnType<typeof setTimeout> | undefined;
	private writingTimer: ReturnType<typeof setTimeout> | undefined;
	private sentAt = 0;

	constructor(
		doc: Y.Doc,
		private readonly send: (states: Uint8Array) => void,
		private readonly changed: () => void
	) {
		this.awareness = new awarenessProtocol.Awareness(doc);
		this.awareness.setLocalState({ cursor: null, place: null, writing: false, away: isHidden() });
		this.awareness.on('update', (_: unknown, origin: unknown) => origin === 'local' && this.sendSoon());
		this.awareness.on('change', () => this.changed());
		if (typeof document !== 'undefined') document.addEventListener('visibilitychange', this.onVisibility);
	}

	receive(states: Uint8Array): void {
		try {
			awarenessProtocol.applyAwarenessUpdate(this.awareness, states, this);
		} catch {
			// Presence that cannot be read is presence that is not shown.
		}
	}

	/** The line stands: say where I am. */
	greet(): void {
		this.sentAt = 0;
		this.sendNow();
	}

	/** The line is gone: nobody is known to be here, and clocks start over (the server keeps its own). */
	forgetOthers(): void {
		const others = [...this.awareness.states.keys()].filter((client) => client !== this.awareness.clientID);
		awarenessProtocol.removeAwarenessStates(this.awareness, others, 'line');
		for (const client of [...this.awareness.meta.keys()]) {
			if (client !== this.awareness.clientID) this.awareness.meta.delete(client);
		}
	}

	setPlace(place: string | null): void {
		if (this.local().place !== place) this.awareness.setLocalStateField('place', place);
	}

	wrote(): void {
		clearTimeout(this.writingTimer);
		this.writingTimer = setTimeout(() => this.awareness.setLocalStateField('writing', false), WRITING_MS);
		if (!this.local().writing) this.awareness.setLocalStateField('writing', true);
	}

	local(): State {
		return (this.awareness.getLocalState() ?? {}) as State;
	}

	/** Others, in a lasting order. */
	others(): Peer[] {
		const peers: Peer[] = [];
		this.awareness.getStates().forEach((state, client) => {
			const peer = client === this.awareness.clientID ? null : peerOf(state as State);
			if (peer) peers.push(peer);
		});
		return peers.sort((a, b) => a.peerId - b.peerId);
	}

	destroy(): void {
		clearTimeout(this.sendTimer);
		clearTimeout(this.writingTimer);
		if (typeof document !== 'undefined') document.removeEventListener('visibilitychange', this.onVisibility);
		this.awareness.destroy();
	}

	private readonly onVisibility = (): void => {
		this.awareness.setLocalStateField('away', isHidden());
		if (isHidden()) this.sendNow();
	};

	private sendSoon(): void {
		if (this.sendTimer !== undefined) return;
		this.sendTimer = setTimeout(() => this.sendNow(), Math.max(0, this.sentAt + SEND_EVERY_MS - Date.now()));
	}

	private sendNow(): void {
		clearTimeout(this.sendTimer);
		this.sendTimer = undefined;
		this.sentAt = Date.now();
		if (this.awareness.getLocalState() === null) return;
		this.send(awarenessProtocol.encodeAwarenessUpdate(this.awareness, [this.awareness.clientID]));
	}
}

function peerOf(state: State): Peer | null {
	const user = state.user;
	if (!user || typeof user.peer_id !== 'number' || typeof user.name !== 'string') return null;
	const { id, name, initials, colour } = user;
	return {
		peerId: user.peer_id,
		person: { id, name, initials, colour },
		self: false,
		away: state.away === true,
		place: typeof state.place === 'string' ? state.place : null,
		writing: state.writing === true
	};
}

function isHidden(): boolean {
	return typeof document !== 'undefined' && document.visibilityState === 'hidden';
}
