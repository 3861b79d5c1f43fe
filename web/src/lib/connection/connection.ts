/**
 * One socket to one live document, for as long as the page wants it: it opens, notices when the line is dead although nobody said so,
 * waits a little longer each time, comes back at once when the machine wakes, and stops when told to (C1–C9). It knows bytes and
 * close codes; what a message means is for its listener.
 */
import { afterClose, decode, encode, SUBPROTOCOL, type Message } from './protocol';

export type ConnectionState =
	| { readonly name: 'idle' }
	| { readonly name: 'connecting' }
	| { readonly name: 'open' }
	/** The next attempt comes by itself, or when the machine wakes. */
	| { readonly name: 'waiting'; readonly attempt: number }
	/** C9: no attempt comes by itself. */
	| { readonly name: 'stopped'; readonly because: 'signed_out' | 'refused' | 'not_found' };

export interface ConnectionListener {
	onState(state: ConnectionState): void;
	onMessage(message: Message): void;
	/** The server said stop, too large or new client id: nothing may be sent again as it was. The line is stopped when this is heard. */
	onRefusedByClose(because: 'stop' | 'new_client_id' | 'frame_too_large'): void;
	/** Is anything of mine on its way? Then silence is noticed sooner. */
	awaitsAck(): boolean;
}

export const DELAYS = {
	/** An attempt that takes longer is given up. */
	connectMs: 10_000,
	/** First wait after a lost line; doubles up to the longest; each is shortened by up to half, so that not everyone comes at once. */
	backoffFirstMs: 300,
	backoffLongestMs: 10_000,
	/** A line that stood this long starts over with the first wait. */
	steadyMs: 10_000,
	/** How often an open line is looked at. */
	checkMs: 1_000,
	/** A question is given this long. */
	answerMs: 3_000,
	/** So long without hearing anything, and we ask. */
	quietMs: 10_000,
	/** So long without hearing anything, and the line is dead. */
	deadMs: 30_000,
	/** The same while my own words wait for their acknowledgement. */
	quietWithUnsentMs: 3_000,
	deadWithUnsentMs: 10_000,
	/** Heard from, but my words stay unsettled: come back with a new socket. */
	unsettledMs: 30_000
} as const;

export interface ConnectionOptions {
	readonly url: () => string;
	readonly makeSocket?: (url: string, protocol: string) => WebSocket;
	readonly now?: () => number;
	readonly random?: () => number;
}

export class Connection {
	state: ConnectionState = { name: 'idle' };
	private socket: WebSocket | null = null;
	private attempt = 0;
	private heardAt = 0;
	private askedAt = 0;
	private openedAt = 0;
	private unsettledSince: number | null = null;
	private retryTimer: ReturnType<typeof setTimeout> | undefined;
	private connectTimer: ReturnType<typeof setTimeout> | undefined;
	private checkTimer: ReturnType<typeof setInterval> | undefined;
	private readonly now: () => number;
	private readonly random: () => number;
	private readonly makeSocket: (url: string, protocol: string) => WebSocket;

	constructor(
		private readonly options: ConnectionOptions,
		private readonly listener: ConnectionListener
	) {
		this.now = options.now ?? Date.now;
		this.random = options.random ?? Math.random;
		this.makeSocket = options.makeSocket ?? ((url, protocol) => new WebSocket(url, [protocol]));
	}

	/** Starts, also after a stop. */
	open(): void {
		if (this.socket || this.state.name === 'connecting') return;
		this.listenForWaking();
		this.connect();
	}

	/** Ends for good; nothing is heard afterwards. */
	close(): void {
		this.stopListening();
		this.dropSocket(1000);
		clearTimeout(this.retryTimer);
		this.become({ name: 'idle' });
	}

	send(message: Message): boolean {
		if (this.socket?.readyState !== 1) return false;
		this.socket.send(encode(message) as Uint8Array<ArrayBuffer>);
		return true;
	}

	private connect(): void {
		clearTimeout(this.retryTimer);
		this.openedAt = 0;
		this.become({ name: 'connecting' });
		let socket: WebSocket;
		try {
			socket = this.makeSocket(this.options.url(), SUBPROTOCOL);
		} catch {
			this.comeBackLater();
			return;
		}
		socket.binaryType = 'arraybuffer';
		this.socket = socket;
		// Each handler asks whether it still speaks for the present socket: a dropped one has no say any more.
		socket.onopen = () => socket === this.socket && this.opened();
		socket.onmessage = (event) => socket === this.socket && this.heard(event.data);
		socket.onclose = (event) => socket === this.socket && this.closed(event.code);
		this.connectTimer = setTimeout(() => socket === this.socket && this.lost(), DELAYS.connectMs);
	}

	private opened(): void {
		clearTimeout(this.connectTimer);
		this.openedAt = this.heardAt = this.now();
		this.askedAt = 0;
		this.unsettledSince = null;
		this.checkTimer = setInterval(() => this.check(), DELAYS.checkMs);
		this.become({ name: 'open' });
	}

	private heard(data: unknown): void {
		this.heardAt = this.now();
		if (!(data instanceof ArrayBuffer)) return;
		const message = decode(new Uint8Array(data));
		if (message?.kind === 'saved') this.unsettledSince = null;
		if (message) this.listener.onMessage(message);
	}

	private closed(code: number): void {
		this.dropSocket();
		const after = afterClose(code);
		switch (after) {
			case 'come_back':
				this.comeBackLater();
				return;
			case 'start_over':
				this.startOver();
				return;
			case 'sign_in':
				this.become({ name: 'stopped', because: 'signed_out' });
				return;
			case 'not_found':
				this.become({ name: 'stopped', because: 'not_found' });
				return;
			case 'stop':
			case 'new_client_id':
			case 'frame_too_large':
				this.become({ name: 'stopped', because: 'refused' });
				this.listener.onRefusedByClose(after);
		}
	}

	/** The line is dead, or an attempt took too long. */
	private lost(): void {
		this.dropSocket(4000);
		this.comeBackLater();
	}

	/** The server is well and waits for us: a line that stood comes back at once, any other as after every end. */
	private startOver(): void {
		if (!this.stood) {
			this.comeBackLater();
			return;
		}
		this.attempt = 1;
		this.become({ name: 'waiting', attempt: 1 });
		this.connect();
	}

	private get stood(): boolean {
		return this.openedAt !== 0 && this.now() - this.openedAt > DELAYS.steadyMs;
	}

	private comeBackLater(): void {
		if (this.stood) this.attempt = 0;
		this.attempt += 1;
		const longest = Math.min(DELAYS.backoffLongestMs, DELAYS.backoffFirstMs * 2 ** (this.attempt - 1));
		this.retryTimer = setTimeout(() => this.connect(), longest * (0.5 + this.random() / 2));
		this.become({ name: 'waiting', attempt: this.attempt });
	}

	/** A socket can be open and dead: a sleeping phone, a changed network. Ask, then give it up. */
	private check(): void {
		const now = this.now();
		const unsent = this.listener.awaitsAck();
		if (!unsent) this.unsettledSince = null;
		else this.unsettledSince ??= now;
		const silentMs = now - this.heardAt;
		// Timers sleep in a hidden page: silence alone proves nothing, only a question without an answer does.
		const asked = this.askedAt > this.heardAt;
		const unanswered = asked && now - this.askedAt >= DELAYS.answerMs;
		const dead = unanswered && silentMs >= (unsent ? DELAYS.deadWithUnsentMs : DELAYS.deadMs);
		const stuck = this.unsettledSince !== null && now - this.unsettledSince >= DELAYS.unsettledMs;
		if (dead || stuck) this.lost();
		else if (!asked && silentMs >= (unsent ? DELAYS.quietWithUnsentMs : DELAYS.quietMs)) this.ask();
	}

	/** S5: the server answers with presence; any answer will do. */
	private ask(): void {
		this.askedAt = this.now();
		this.send({ kind: 'query_awareness' });
	}

	private dropSocket(code?: number): void {
		clearTimeout(this.connectTimer);
		clearInterval(this.checkTimer);
		const socket = this.socket;
		this.socket = null;
		if (!socket || code === undefined) return;
		try {
			socket.close(code);
		} catch {
			// Closing a socket that never opened is no fault of ours.
		}
	}

	private become(state: ConnectionState): void {
		this.state = state;
		this.listener.onState(state);
	}

	private readonly onOffline = (): void => {
		if (this.state.name !== 'open' && this.state.name !== 'connecting') return;
		this.lost();
	};

	/** Woken: try at once if waiting; if open, timers may have slept, so look now. */
	private readonly onWake = (): void => {
		if (typeof document !== 'undefined' && document.visibilityState === 'hidden') return;
		if (this.state.name === 'waiting') {
			this.attempt = 0;
			this.connect();
		} else if (this.state.name === 'open') {
			this.check();
			if (this.state.name === 'open' && this.askedAt <= this.heardAt) this.ask();
		}
	};

	private listenForWaking(): void {
		if (typeof window === 'undefined') return;
		this.stopListening();
		window.addEventListener('online', this.onWake);
		window.addEventListener('offline', this.onOffline);
		window.addEventListener('pageshow', this.onWake);
		document.addEventListener('visibilitychange', this.onWake);
		document.addEventListener('resume', this.onWake);
	}

	private stopListening(): void {
		if (typeof window === 'undefined') return;
		window.removeEventListener('online', this.onWake);
		window.removeEventListener('offline', this.onOffline);
		window.removeEventListener('pageshow', this.onWake);
		document.removeEventListener('visibilitychange', this.onWake);
		document.removeEventListener('resume', this.onWake);
	}
}
