import { startServer, stopServer } from './server.ts';

/** One server for the whole run. */
export default async function start(): Promise<() => Promise<void>> {
	await startServer();
	return stopServer;
}
