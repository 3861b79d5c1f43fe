/**
 * The wire of a live document (client-protocol/SPEC.md): bytes to messages and back. Sync and awareness bodies stay bytes; they are
 * Yjs' to read. A frame that cannot be read gives `null`, as does one of an unknown number (H7).
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { AbilityChanged } from '$lib/protocol/AbilityChanged';
import type { Event } from '$lib/protocol/Event';
import type { Hello } from '$lib/protocol/Hello';
import type { Refused } from '$lib/protocol/Refused';

/** The subprotocol that brings the frames numbered from 100 (H2). */
export const SUBPROTOCOL = 'samspil.v1';

export type Message =
	/** S1: the other side's state vector; it wants what it lacks. */
	| { kind: 'step1'; stateVector: Uint8Array }
	/** S2: the answer to a step 1. */
	| { kind: 'step2'; update: Uint8Array }
	| { kind: 'update'; update: Uint8Array }
	/** P1. */
	| { kind: 'awareness'; states: Uint8Array }
	/** S5: asks for everybody's presence. */
	| { kind: 'query_awareness' }
	| { kind: 'hello'; hello: Hello }
	/** H3: my first `frames` update frames on this connection are settled; the log stands at `seq`. */
	| { kind: 'saved'; frames: number; seq: number }
	| { kind: 'refused'; refused: Refused }
	| { kind: 'event'; event: Event }
	| { kind: 'ability'; changed: AbilityChanged };

const FRAME = { sync: 0, awareness: 1, queryAwareness: 3, hello: 100, saved: 101, refused: 102, event: 103, ability: 104 } as const;
const SYNC = { step1: 0, step2: 1, update: 2 } as const;

/** What arrived, or `null` for a frame to be ignored. */
export function decode(frame: Uint8Array): Message | null {
	try {
		return read(decoding.createDecoder(frame));
	} catch {
		return null;
	}
}

function read(decoder: decoding.Decoder): Message | null {
	switch (decoding.readVarUint(decoder)) {
		case FRAME.sync:
			return readSync(decoder);
		case FRAME.awareness:
			return { kind: 'awareness', states: decoding.readVarUint8Array(decoder) };
		case FRAME.queryAwareness:
			return { kind: 'query_awareness' };
		case FRAME.hello:
			return { kind: 'hello', hello: readJson<Hello>(decoder) };
		case FRAME.saved:
			return { kind: 'saved', frames: decoding.readVarUint(decoder), seq: decoding.readVarUint(decoder) };
		case FRAME.refused:
			return { kind: 'refused', refused: readJson<Refused>(decoder) };
		case FRAME.event:
			return { kind: 'event', event: readJson<Event>(decoder) };
		case FRAME.ability:
			return { kind: 'ability', changed: readJson<AbilityChanged>(decoder) };
		default:
			return null;
	}
}

function readSync(decoder: decoding.Decoder): Message | null {
	const kind = decoding.readVarUint(decoder);
	const bytes = decoding.readVarUint8Array(decoder);
	switch (kind) {
		case SYNC.step1:
			return { kind: 'step1', stateVector: bytes };
		case SYNC.step2:
			return { kind: 'step2', update: bytes };
		case SYNC.update:
			return { kind: 'update', update: bytes };
		default:
			return null;
	}
}

function readJson<Body>(decoder: decoding.Decoder): Body {
	return JSON.parse(decoding.readVarString(decoder)) as Body;
}

/** What a client says. It never sends frames from 100 upward (H7); the tests' stand-in for the server does, and so all are written here. */
export function encode(message: Message): Uint8Array {
	const encoder = encoding.createEncoder();
	switch (message.kind) {
		case 'step1':
			writeSync(encoder, SYNC.step1, message.stateVector);
			break;
		case 'step2':
			writeSync(encoder, SYNC.step2, message.update);
			break;
		case 'update':
			writeSync(encoder, SYNC.update, message.update);
			break;
		case 'awareness':
			encoding.writeVarUint(encoder, FRAME.awareness);
			encoding.writeVarUint8Array(encoder, message.states);
			break;
		case 'query_awareness':
			encoding.writeVarUint(encoder, FRAME.queryAwareness);
			break;
		case 'hello':
			writeJson(encoder, FRAME.hello, message.hello);
			break;
		case 'saved':
			encoding.writeVarUint(encoder, FRAME.saved);
			encoding.writeVarUint(encoder, message.frames);
			encoding.writeVarUint(encoder, message.seq);
			break;
		case 'refused':
			writeJson(encoder, FRAME.refused, message.refused);
			break;
		case 'event':
			writeJson(encoder, FRAME.event, message.event);
			break;
		case 'ability':
			writeJson(encoder, FRAME.ability, message.changed);
			break;
	}
	return encoding.toUint8Array(encoder);
}

function writeSync(encoder: encoding.Encoder, kind: number, bytes: Uint8Array): void {
	encoding.writeVarUint(encoder, FRAME.sync);
	encoding.writeVarUint(encoder, kind);
	encoding.writeVarUint8Array(encoder, bytes);
}

function writeJson(encoder: encoding.Encoder, frame: number, body: unknown): void {
	encoding.writeVarUint(encoder, frame);
	encoding.writeVarString(encoder, JSON.stringify(body));
}

/** What a close code asks of the client (C1–C9). */
export type AfterClose = 'come_back' | 'start_over' | 'sign_in' | 'stop' | 'not_found' | 'new_client_id' | 'frame_too_large';

/** Unknown codes and a broken line mean: come back. */
export function afterClose(code: number): AfterClose {
	switch (code) {
		case 1009:
			return 'frame_too_large';
		case 4001:
			return 'start_over';
		case 4401:
			return 'sign_in';
		case 4403:
			return 'stop';
		case 4404:
			return 'not_found';
		case 4409:
			return 'new_client_id';
		default:
			return 'come_back';
	}
}
