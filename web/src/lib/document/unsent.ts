/**
 * My own words that the server has not settled, and which of them are on their way on this connection. Counted exactly as the
 * server counts (H3): every step 2 and update frame, refused ones included.
 */
import * as Y from 'yjs';
import type { IsMine } from './content';

interface Waiting {
	readonly update: Uint8Array;
	/** Written on the present connection; words from before it may be older than a freeze. */
	readonly connection: number;
	/** How often the text had been frozen, as far as I had heard, when it was written. */
	readonly freezes: number;
}

/** An update that is to be sent, and the keys of what it carries. */
export interface Part {
	readonly keys: number[];
	readonly update: Uint8Array;
}

export class Unsent {
	private readonly waiting = new Map<number, Waiting>();
	private underWay: { frame: number; keys: number[] }[] = [];
	private frames = 0;
	private connection = 0;

	get size(): number {
		return this.waiting.size;
	}

	/** A new socket: nothing is under way on it yet. */
	newConnection(): void {
		this.connection += 1;
		this.frames = 0;
		this.underWay = [];
	}

	add(key: number, update: Uint8Array, freezes: number): void {
		this.waiting.set(key, { update, connection: this.connection, freezes });
	}

	/** Was one of them written before the text was frozen so often? */
	hasOlderThan(freezes: number): boolean {
		return [...this.waiting.values()].some((word) => word.freezes < freezes);
	}

	/** An update frame is being sent with these words. */
	sent(keys: readonly number[]): void {
		this.frames += 1;
		this.underWay.push({ frame: this.frames, keys: [...keys] });
	}

	/**
	 * Refused for now: what the frame carried waits again, for the next step 2, and so does what was sent after it. That builds on
	 * it, and the server drops it without a further word (S4), though it counts it as settled.
	 */
	putBackFrom(frame: number): void {
		for (const sent of this.underWay) if (sent.frame >= frame) sent.keys = [];
	}

	get keys(): number[] {
		return [...this.waiting.keys()];
	}

	/**
	 * Everything that waits, in the order in which it was written, in updates that are no larger than this as long as none was made
	 * so. Each builds on those before it alone, and has no hole: where something in between is settled, another begins.
	 */
	parts(bytesMax: number): Part[] {
		const parts: Part[] = [];
		let [keys, updates, bytes]: [number[], Uint8Array[], number] = [[], [], 0];
		const ends = new Map<number, number>();
		const close = () => {
			if (keys.length > 0) parts.push({ keys, update: Y.mergeUpdates(updates) });
			[keys, updates, bytes] = [[], [], 0];
			ends.clear();
		};
		for (const [key, { update }] of this.waiting) {
			const { structs } = Y.decodeUpdate(update);
			const leavesHole = structs.some(({ id }, nth) => structs[nth - 1]?.id.client !== id.client && (ends.get(id.client) ?? id.clock) !== id.clock);
			if (leavesHole || bytes + update.length > bytesMax) close();
			keys.push(key);
			updates.push(update);
			bytes += update.length;
			for (const { id, length } of structs) ends.set(id.client, id.clock + length);
		}
		close();
		return parts;
	}

	/** The client ids under which stands what this frame carries. */
	clientsIn(frame: number): Set<number> {
		const keys = this.underWay.filter((sent) => sent.frame === frame).flatMap((sent) => sent.keys);
		const updates = keys.flatMap((key) => this.waiting.get(key)?.update ?? []);
		return new Set(updates.flatMap((update) => Y.decodeUpdate(update).structs.map(({ id }) => id.client)));
	}

	/** The first `frames` are settled: what they carried is on disk. Gives it back. */
	settle(frames: number): { key: number; update: Uint8Array }[] {
		const keys = this.underWay.filter(({ frame }) => frame <= frames).flatMap((frame) => frame.keys);
		this.underWay = this.underWay.filter(({ frame }) => frame > frames);
		return this.take(keys);
	}

	/** What lies wholly within the server's state is settled, whatever became of its acknowledgement. */
	settleKnown(serverClocks: Map<number, number>): { key: number; update: Uint8Array }[] {
		const known = [...this.waiting].filter(([, { update }]) => isKnown(update, serverClocks)).map(([key]) => key);
		return this.take(known);
	}

	get updates(): Uint8Array[] {
		return [...this.waiting.values()].map(({ update }) => update);
	}

	/** Were all of them written while this connection stood? */
	get allFromThisConnection(): boolean {
		return [...this.waiting.values()].every(({ connection }) => connection === this.connection);
	}

	/** Tells my unsent blocks from all others. */
	isMine(): IsMine {
		const ranges = new Map<number, [from: number, to: number][]>();
		for (const update of this.updates) {
			for (const struct of Y.decodeUpdate(update).structs) {
				const { client, clock } = struct.id;
				const known = ranges.get(client) ?? [];
				known.push([clock, clock + struct.length]);
				ranges.set(client, known);
			}
		}
		return (client, clock) => ranges.get(client)?.some(([from, to]) => clock >= from && clock < to) ?? false;
	}

	clear(): void {
		this.waiting.clear();
		this.underWay = [];
	}

	private take(keys: readonly number[]): { key: number; update: Uint8Array }[] {
		return keys.flatMap((key) => {
			const update = this.waiting.get(key)?.update;
			this.waiting.delete(key);
			return update ? [{ key, update }] : [];
		});
	}
}

/** An update with deletions alone names no block, so it never counts as known: it is sent again, which is always safe. */
function isKnown(update: Uint8Array, serverClocks: Map<number, number>): boolean {
	const { structs } = Y.decodeUpdate(update);
	return structs.length > 0 && structs.every(({ id, length }) => id.clock + length <= (serverClocks.get(id.client) ?? 0));
}
