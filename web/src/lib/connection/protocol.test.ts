import { expect, test } from 'vitest';
import golden from '../../../../client-protocol/vectors/yjs.json';
import { afterClose, decode, encode, type Message } from './protocol';

const bytes = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const hex = (of: Uint8Array) => [...of].map((byte) => byte.toString(16).padStart(2, '0')).join('');

test.each(golden.vectors)('S1–S5, P1: reads and writes what Yjs makes: $name', ({ hex: frame, means }) => {
	const message = decode(bytes(frame));
	expect(message?.kind).toBe(means.kind);
	const body = message && ('stateVector' in message ? message.stateVector : 'update' in message ? message.update : 'states' in message ? message.states : null);
	const expected = 'state_vector_hex' in means ? means.state_vector_hex : 'update_hex' in means ? means.update_hex : 'states_hex' in means ? means.states_hex : null;
	expect(body && hex(body)).toBe(expected);
	expect(hex(encode(message!))).toBe(frame);
});

test('H3–H6: our own frames are read', () => {
	const own: Message[] = [
		{ kind: 'saved', frames: 300, seq: 2 ** 40 },
		{ kind: 'refused', refused: { frame: 4, code: 'frozen', action: 'keep_as_proposal' } },
		{ kind: 'event', event: { kind: 'agreement_changed' } }
	];
	for (const message of own) expect(decode(encode(message))).toEqual(message);
	expect(hex(encode({ kind: 'saved', frames: 300, seq: 5 }))).toBe('65ac0205');
});

test('H7: frames of an unknown number, and those that cannot be read, are ignored', () => {
	expect(decode(bytes('7f00'))).toBe(null);
	expect(decode(bytes('0005'))).toBe(null);
	expect(decode(bytes('000285'))).toBe(null);
	expect(decode(new Uint8Array())).toBe(null);
});

test.each([
	[1000, 'come_back'],
	[1006, 'come_back'],
	[1009, 'frame_too_large'],
	[4000, 'come_back'],
	[4001, 'start_over'],
	[4401, 'sign_in'],
	[4403, 'stop'],
	[4404, 'not_found'],
	[4409, 'new_client_id']
] as const)('C1–C8: %i says %s', (code, what) => expect(afterClose(code)).toBe(what));
