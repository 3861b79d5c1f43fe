// Calls to the server. Every failure comes out as an ApiError; nothing else is thrown.

import { ApiError, problemOf } from './problem';
import * as kept from './kept';

/** An answer, and whether it is an older one from this machine because the network is missing. */
export type Answer<T> = { value: T; stale: boolean };

export async function get<T>(path: string): Promise<T> {
	return (await call('GET', path)) as T;
}

/** As `get`, but falls back to what this person last saw on this machine when there is no network. */
export async function getOrKept<T>(person: string, path: string): Promise<Answer<T>> {
	try {
		const value = await get<T>(path);
		kept.keep(person, path, value);
		return { value, stale: false };
	} catch (error) {
		if (error instanceof ApiError && error.kind === 'offline') {
			const value = kept.take<T>(person, path);
			if (value !== null) return { value, stale: true };
		} else if (error instanceof ApiError && (error.kind === 'not-found' || error.kind === 'forbidden')) {
			kept.drop(person, path); // what one may no longer see does not stay behind
		}
		throw error;
	}
}

/** What is no JSON, byte by byte. */
export async function getBytes(path: string): Promise<Uint8Array> {
	const response = await reach('GET', path, undefined, {});
	if (!response.ok) throw problemOf(response.status, (await response.json().catch(() => null)) as never);
	return new Uint8Array(await response.arrayBuffer());
}

export async function post<T>(path: string, body: unknown): Promise<T> {
	return (await call('POST', path, body)) as T;
}

export async function put<T>(path: string, body: unknown): Promise<T> {
	return (await call('PUT', path, body)) as T;
}

/** Changes what is at `version`; somebody who changed it first makes this fail as a conflict. */
export async function patch<T>(path: string, body: unknown, version: number): Promise<T> {
	return (await call('PATCH', path, body, { 'if-match': `"${version}"` })) as T;
}

export async function remove(path: string): Promise<void> {
	await call('DELETE', path);
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<unknown> {
	const response = await reach(method, path, body, { accept: 'application/json', ...headers });
	if (response.status === 204) return undefined;
	let json: unknown = null;
	try {
		json = await response.json();
	} catch {
		if (response.ok) throw new ApiError('unavailable', response.status, null);
	}
	if (!response.ok) throw problemOf(response.status, json as never);
	return json;
}

async function reach(method: string, path: string, body: unknown, headers: Record<string, string>): Promise<Response> {
	try {
		return await fetch(path, {
			method,
			credentials: 'same-origin',
			headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
			...(body === undefined ? {} : { body: JSON.stringify(body) })
		});
	} catch {
		throw new ApiError('offline', 0, null);
	}
}
