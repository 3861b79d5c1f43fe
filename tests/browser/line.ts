/**
 * One person's line to the network: a proxy that their browser goes through. It can be cut (nothing gets through, nothing new comes up)
 * and frozen (sockets stay open and fall silent, as on a laptop that slept or a train in a tunnel), for one person and not the other.
 */
import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export class Line {
	private readonly sockets = new Set<Duplex>();
	private state: 'up' | 'cut' | 'frozen' = 'up';

	private constructor(private readonly proxy: Server) {
		proxy.on('connection', (socket) => this.take(socket));
		proxy.on('request', (request, response) => this.forward(request, response));
		proxy.on('connect', (request, socket, head) => this.tunnel(request, socket, head));
	}

	static async open(): Promise<Line> {
		const proxy = createServer();
		const line = new Line(proxy);
		await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
		return line;
	}

	get url(): string {
		return `http://127.0.0.1:${(this.proxy.address() as AddressInfo).port}`;
	}

	cut(): void {
		this.state = 'cut';
		for (const socket of this.sockets) socket.destroy();
	}

	freeze(): void {
		this.state = 'frozen';
		for (const socket of this.sockets) socket.pause();
	}

	/** A frozen line that comes back has lost what was on it: the network forgot the old sockets. */
	mend(): void {
		if (this.state === 'frozen') for (const socket of this.sockets) socket.destroy();
		this.state = 'up';
	}

	async close(): Promise<void> {
		this.cut();
		await new Promise((closed) => this.proxy.close(closed));
	}

	private take(socket: Duplex): void {
		if (this.state === 'cut') {
			socket.destroy();
			return;
		}
		this.sockets.add(socket);
		socket.on('close', () => this.sockets.delete(socket));
		socket.on('error', () => socket.destroy());
		if (this.state === 'frozen') socket.pause();
	}

	private forward(request: IncomingMessage, response: ServerResponse): void {
		const onward = ask(request.url ?? '', { method: request.method, headers: request.headers, agent: false }, (answer) => {
			response.writeHead(answer.statusCode ?? 502, answer.headers);
			answer.pipe(response);
		});
		onward.on('socket', (socket) => this.take(socket));
		onward.on('error', () => response.destroy());
		response.on('close', () => onward.destroy());
		request.pipe(onward);
	}

	/** What sockets go through. */
	private tunnel(request: IncomingMessage, near: Duplex, head: Buffer): void {
		const [host, port] = (request.url ?? '').split(':');
		const far: Socket = connect(Number(port), host, () => {
			near.write('HTTP/1.1 200 Connection established\r\n\r\n');
			far.write(head);
			near.pipe(far).pipe(near);
		});
		this.take(far);
		far.on('close', () => near.destroy());
		near.on('close', () => far.destroy());
	}
}
