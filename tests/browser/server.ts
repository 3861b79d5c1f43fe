/**
 * The real server that the journeys run against: `samspil demo` on ports and data of its own. It outlives the process that started it
 * (a worker ends with the first test that fails), so what there is to know about it stands in a file.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const READY_WITHIN_MS = 60_000;

export interface Running {
	readonly url: string;
	readonly identityProvider: string;
	/** Its directory; the file `server.json` in it is this. */
	readonly dir: string;
	pid: number;
}

/** Where the server's file is, for the workers. */
const DIR = 'SAMSPIL_JOURNEYS_DIR';

export async function startServer(): Promise<Running> {
	const dir = mkdtempSync(join(tmpdir(), 'samspil-journeys.'));
	process.env[DIR] = dir;
	const [port, providerPort] = await freePorts();
	const running: Running = { url: `http://127.0.0.1:${port}`, identityProvider: `http://127.0.0.1:${providerPort}`, dir, pid: 0 };
	await launch(running);
	return running;
}

/** The server of this run. */
export function server(): Running {
	const dir = process.env[DIR];
	if (!dir) throw new Error('there is no server: run the tests with their configuration');
	return JSON.parse(readFileSync(join(dir, 'server.json'), 'utf8')) as Running;
}

/** As a power cut: nothing is told, nothing is tidied up. */
export async function killServer(): Promise<void> {
	const { pid } = server();
	process.kill(pid, 'SIGKILL');
	await gone(pid);
}

/** Again on the same ports and data. */
export async function restartServer(): Promise<void> {
	await launch(server());
}

export async function stopServer(): Promise<void> {
	const { pid, dir } = server();
	if (isAlive(pid)) process.kill(pid, 'SIGTERM');
	await gone(pid);
	rmSync(dir, { recursive: true, force: true });
}

/** Asks the database behind the server, as its owner: for what no page can do. */
export function sql(statement: string): string {
	const { dir } = server();
	const socket = socketDir(dir);
	const done = spawnSync('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', socket, '-p', '5432', '-U', 'samspil_owner', '-d', 'samspil', '-c', statement], {
		encoding: 'utf8'
	});
	if (done.status !== 0) throw new Error(`psql: ${done.stderr}`);
	return done.stdout;
}

function socketDir(dir: string): string {
	// The database says in its own notes where its socket is.
	const notes = readdirSync(dir, { recursive: true, encoding: 'utf8' }).find((path) => path.endsWith('postmaster.pid'));
	const line = notes && readFileSync(join(dir, notes), 'utf8').split('\n')[4];
	if (!line) throw new Error('the database of the demo does not run');
	return line;
}

async function launch(running: Running): Promise<void> {
	const bin = process.env.SAMSPIL_BIN ?? resolve(import.meta.dirname, '../../target/debug/samspil');
	if (!existsSync(bin)) throw new Error(`${bin} is missing: cargo build -p samspil-server, or set SAMSPIL_BIN`);
	const log = join(running.dir, 'server.log');
	const { DATABASE_URL: _, ...rest } = process.env;
	const child = spawn(bin, ['demo'], {
		detached: true,
		stdio: ['ignore', openSync(join(running.dir, 'server.out'), 'w'), openSync(log, 'a')],
		env: {
			...rest,
			SAMSPIL_DATA_DIR: join(running.dir, 'data'),
			SAMSPIL_LISTEN: new URL(running.url).host,
			SAMSPIL_DEMO_IDP_LISTEN: new URL(running.identityProvider).host
		}
	});
	child.unref();
	if (child.pid === undefined) throw new Error(`${bin} cannot be started`);
	running.pid = child.pid;
	writeFileSync(join(running.dir, 'server.json'), JSON.stringify(running));
	await until(READY_WITHIN_MS, `the server did not become ready; its log is ${log}`, async () => {
		if (!isAlive(running.pid)) throw new Error(`the server ended:\n${readFileSync(log, 'utf8').slice(-4_000)}`);
		return readFileSync(join(running.dir, 'server.out'), 'utf8').includes(`ready ${running.url}`);
	});
}

async function gone(pid: number): Promise<void> {
	await until(20_000, `process ${pid} does not end`, async () => !isAlive(pid));
}

function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0);
	} catch {
		return false;
	}
	// A child that has ended but was not waited for is no longer alive either.
	try {
		return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
	} catch {
		return false;
	}
}

async function until(withinMs: number, failure: string, holds: () => Promise<boolean>): Promise<void> {
	const end = Date.now() + withinMs;
	while (!(await holds())) {
		if (Date.now() > end) throw new Error(failure);
		await new Promise((next) => setTimeout(next, 50));
	}
}

/** Two ports nobody listens on. */
async function freePorts(): Promise<[number, number]> {
	const held = [createServer(), createServer()];
	const ports = await Promise.all(
		held.map(
			(one) => new Promise<number>((found) => one.listen(0, '127.0.0.1', () => found((one.address() as AddressInfo).port)))
		)
	);
	await Promise.all(held.map((one) => new Promise((closed) => one.close(closed))));
	return ports as [number, number];
}
