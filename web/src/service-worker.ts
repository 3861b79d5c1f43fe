/// <reference types="@sveltejs/kit" />
/// <reference no-default-lib="true"/>
/// <reference lib="esnext" />
/// <reference lib="webworker" />

// Lets the page itself open without a network. It keeps the built files and the one page they hang on, nothing else: what the
// server says (/api, /auth, /live) always comes from the server.

import { build, files, version } from '$service-worker';

const worker = globalThis.self as unknown as ServiceWorkerGlobalScope;

const CACHE = `samspil-${version}`;
const SHELL = '/';
const ASSETS = new Set([...build, ...files]);
const SERVER = /^\/(api|auth|live|healthz|readyz|metrics)(\/|$)/;
/** A network that is there but does not answer is as good as none. */
const PATIENCE_MS = 4_000;

worker.addEventListener('install', (event) => {
	event.waitUntil(
		caches
			.open(CACHE)
			.then((cache) => keepAll(cache, [...ASSETS, SHELL]))
			.then(() => worker.skipWaiting())
	);
});

/** One file that did not come the first time, on a line that just fell out, must not cost the page its life without a network. */
async function keepAll(cache: Cache, paths: string[]): Promise<void> {
	const outcomes = await Promise.allSettled(paths.map((path) => cache.add(path)));
	const missing = paths.filter((_, at) => outcomes[at]?.status === 'rejected');
	await cache.addAll(missing);
}

worker.addEventListener('activate', (event) => {
	event.waitUntil(removeOld().then(() => worker.clients.claim()));
});

/** One earlier edition stays: a page that is open still asks for its files. */
async function removeOld(): Promise<void> {
	const old = (await caches.keys()).filter((name) => name.startsWith('samspil-') && name !== CACHE).sort();
	for (const name of old.slice(0, -1)) await caches.delete(name);
}

// A page that was on its way when this worker came to life (hooks.client.ts).
worker.addEventListener('message', (event) => {
	if (event.data === 'claim') event.waitUntil(worker.clients.claim());
});

worker.addEventListener('fetch', (event) => {
	const { request } = event;
	const url = new URL(request.url);
	if (request.method !== 'GET' || url.origin !== location.origin || SERVER.test(url.pathname)) return;
	if (request.mode === 'navigate') event.respondWith(page(request));
	else if (ASSETS.has(url.pathname)) event.respondWith(asset(request));
	else if (url.pathname.startsWith('/_app/')) event.respondWith(asset(request));
});

/** The newest page when there is a network, the kept one when there is none. */
async function page(request: Request): Promise<Response> {
	const cache = await caches.open(CACHE);
	const kept = await cache.match(SHELL);
	try {
		const answer = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
		// A proxy in front of a stopped server answers in its own words; ours say more.
		return answer.status >= 500 && kept ? kept : answer;
	} catch (error) {
		if (kept) return kept;
		throw error;
	}
}

/** Built files carry their content's hash in the name and never change. */
async function asset(request: Request): Promise<Response> {
	return (await caches.match(request)) ?? fetch(request);
}
