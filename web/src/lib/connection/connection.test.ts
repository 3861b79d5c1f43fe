import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Connection, DELAYS, type ConnectionState } from './connection';
import { decode, encode, type Message } from './protocol';

class Socket {
	readyState = 0;
	onopen: (() => void) | null = null;
	onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
	onclose: ((event: { code: number }) => void) | null = null;
	readonly sent: (Message | null)[] = [];
	closedWith: number | undefined;
	send(bytes: Uint8Array) {
		this.sent.push(decode(bytes));
	}
	close(code: number) {
		this.closedWith = code;
		this.readyState = 3;
	}
	opens() {
		this.readyState = 1;
		this.onopen?.();
	}
	says(message: Message) {
		this.onmessage?.({ data: encode(message).slice().buffer });
	}
	closes(code: number) {
		this.readyState = 3;
		this.onclose?.({ code });
	}
}

let sockets: Socket[];
let states: string[];
let refused: string[];
let unsent: boolean;
let connection: Connection;
const last = () => sockets.at(-1)!;
const SAVED: Message = { kind: 'saved', frames: 1, seq: 1 };

beforeEach(() => {
	vi.useFakeTimers({ now: 1_000_000 });
	[sockets, states, refused, unsent] = [[], [], [], false];
	connection = new Connection(
		{
			url: () => 'ws://test',
			random: () => 1,
			makeSocket: () => {
				sockets.push(new Socket());
				return last() as unknown as WebSocket;
			}
		},
		{
			onState: (state: ConnectionState) => states.push(state.name),
			onMessage: () => {},
			onRefusedByClose: (because) => refused.push(because),
			awaitsAck: () => unsent
		}
	);
	connection.open();
});

afterEach(() => {
	connection.close();
	vi.useRealTimers();
});

test('waits a little longer each time, up to a longest', () => {
	const waits: number[] = [];
	for (let i = 0; i < 9; i += 1) {
		const count = sockets.length;
		last().closes(1006);
		const from = Date.now();
		while (sockets.length === count) vi.advanceTimersByTime(50);
		waits.push(Date.now() - from);
	}
	expect(waits).toEqual([300, 600, 1200, 2400, 4800, 9600, 10_000, 10_000, 10_000]);
});

test('a line that stood a while begins with the shortest wait', () => {
	for (let i = 0; i < 4; i += 1) {
		last().closes(1006);
		vi.advanceTimersByTime(DELAYS.backoffLongestMs);
	}
	last().opens();
	for (let i = 0; i < 20; i += 1) {
		vi.advanceTimersByTime(1000);
		last().says(SAVED);
	}
	const count = sockets.length;
	last().closes(1006);
	vi.advanceTimersByTime(300);
	expect(sockets).toHaveLength(count + 1);
});

test('an attempt that hangs is given up', () => {
	vi.advanceTimersByTime(DELAYS.connectMs);
	expect(last().closedWith).toBe(4000);
	expect(connection.state.name).toBe('waiting');
});

test('a quiet line is asked, and lives when it answers', () => {
	last().opens();
	for (let i = 0; i < 100; i += 1) {
		vi.advanceTimersByTime(1000);
		if (last().sent.at(-1)?.kind === 'query_awareness' && i % 10 === 0) last().says({ kind: 'awareness', states: new Uint8Array([0]) });
	}
	expect(sockets).toHaveLength(1);
	expect(last().sent.length).toBeGreaterThan(3);
});

test('a line that answers nothing is dead after half a minute', () => {
	last().opens();
	vi.advanceTimersByTime(DELAYS.deadMs);
	expect(sockets[0]!.closedWith).toBe(4000);
	expect(connection.state.name).toBe('waiting');
});

test('and after ten seconds when my words are under way', () => {
	last().opens();
	unsent = true;
	vi.advanceTimersByTime(DELAYS.deadWithUnsentMs);
	expect(connection.state.name).toBe('waiting');
});

test('a server that answers but does not save is left alone for half a minute, then tried anew', () => {
	last().opens();
	unsent = true;
	for (let i = 0; i < 29; i += 1) {
		vi.advanceTimersByTime(1000);
		last().says({ kind: 'awareness', states: new Uint8Array([0]) });
	}
	expect(connection.state.name).toBe('open');
	vi.advanceTimersByTime(2000);
	expect(connection.state.name).toBe('waiting');
});

test('timers that slept prove nothing: the line is asked first', () => {
	last().opens();
	vi.setSystemTime(Date.now() + 120_000);
	vi.advanceTimersByTime(1000);
	expect(connection.state.name).toBe('open');
	expect(last().sent.at(-1)?.kind).toBe('query_awareness');
	vi.advanceTimersByTime(DELAYS.answerMs + 1000);
	expect(states).toContain('waiting');
});

test.each([
	[4403, 'stop'],
	[4409, 'new_client_id'],
	[1009, 'frame_too_large']
])('C6–C9: after %i nothing comes back by itself', (code, because) => {
	last().opens();
	last().closes(code);
	vi.advanceTimersByTime(600_000);
	expect(refused).toEqual([because]);
	expect(connection.state).toEqual({ name: 'stopped', because: 'refused' });
	expect(sockets).toHaveLength(1);
});

test.each([
	[4401, 'signed_out'],
	[4404, 'not_found']
])('C5, C7: after %i it waits for somebody to open it again', (code, because) => {
	last().opens();
	last().closes(code);
	vi.advanceTimersByTime(600_000);
	expect(connection.state).toEqual({ name: 'stopped', because });
	connection.open();
	expect(sockets).toHaveLength(2);
});

test('a socket that was dropped has no say any more', () => {
	last().opens();
	const old = last();
	vi.advanceTimersByTime(DELAYS.deadMs);
	const before = states.length;
	old.closes(4403);
	expect(states).toHaveLength(before);
	expect(refused).toEqual([]);
});

/** Numbers from a seed, so that a failure can be seen again. */
function* numbers(seed: number) {
	for (let state = seed; ; ) {
		state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
		yield state / 2 ** 32;
	}
}

const CODES = [1000, 1001, 1006, 1009, 1011, 4000, 4001, 4401, 4403, 4404, 4409, 4999] as const;
const STOPS: readonly number[] = [1009, 4401, 4403, 4404, 4409];

test('C4 C10: told to start over, a line that stood comes back at once, and one that did not waits', () => {
	last().opens();
	last().closes(4001);
	expect(sockets, 'it had not stood yet').toHaveLength(1);
	vi.advanceTimersByTime(DELAYS.backoffFirstMs);
	expect(sockets).toHaveLength(2);
	last().opens();
	// Something is heard now and then, so the line is alive.
	for (let passed = 0; passed <= DELAYS.steadyMs; passed += DELAYS.checkMs) {
		last().says(SAVED);
		vi.advanceTimersByTime(DELAYS.checkMs);
	}
	last().closes(4001);
	expect(sockets).toHaveLength(3);
	expect(states.slice(-3), 'whoever watches sees that the line was down').toEqual(['open', 'waiting', 'connecting']);
	// And not again and again.
	last().opens();
	last().closes(4001);
	expect(sockets).toHaveLength(3);
});

test.each(Array.from({ length: 200 }, (_, seed) => seed))('C1–C9: whatever a server does, nobody knocks in a loop or after stop (seed %i)', (seed) => {
	connection.close();
	const random = numbers(seed);
	const next = () => random.next().value as number;
	const attempts: number[] = [];
	const made: Socket[] = [];
	connection = new Connection(
		{
			url: () => 'ws://test',
			random: next,
			makeSocket: () => {
				attempts.push(Date.now());
				made.push(new Socket());
				return made.at(-1) as unknown as WebSocket;
			}
		},
		{ onState: () => {}, onMessage: () => {}, onRefusedByClose: (because) => refused.push(because), awaitsAck: () => false }
	);
	connection.open();
	for (let round = 1; round <= 30; round += 1) {
		const socket = made.at(-1)!;
		if (next() < 0.7) socket.opens();
		const code = CODES[Math.floor(next() * CODES.length)]!;
		socket.closes(code);
		const at = Date.now();
		vi.advanceTimersByTime(DELAYS.backoffLongestMs);
		if (STOPS.includes(code)) {
			vi.advanceTimersByTime(3_600_000);
			expect(made, `after ${code} it came back by itself`).toHaveLength(round);
			expect(connection.state.name).toBe('stopped');
			expect(socket.sent, 'nothing is sent on a line that was stopped').toEqual([]);
			expect(connection.send(SAVED)).toBe(false);
			connection.open();
		} else {
			const wait = attempts.at(-1)! - at;
			expect(wait, `after ${code}`).toBeGreaterThanOrEqual(DELAYS.backoffFirstMs / 2);
			expect(wait).toBeLessThanOrEqual(DELAYS.backoffLongestMs);
		}
		expect(made).toHaveLength(round + 1);
	}
});
