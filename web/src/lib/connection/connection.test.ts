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
