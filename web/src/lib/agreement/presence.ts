// People rather than connections, and what they do in words.

import { m } from '$lib/paraglide/messages';
import type { Peer } from '$lib/document';

/** One entry for each person, me first. With several windows open, the one that says most counts. */
export function people(peers: readonly Peer[]): Peer[] {
	const byPerson = new Map<string, Peer>();
	const self = peers.find((peer) => peer.self)?.person.id;
	for (const peer of peers) {
		const known = byPerson.get(peer.person.id);
		if (!known || weight(peer) > weight(known)) byPerson.set(peer.person.id, { ...peer, self: peer.person.id === self });
	}
	return [...byPerson.values()].sort((a, b) => Number(b.self) - Number(a.self));
}

function weight(peer: Peer): number {
	return Number(peer.self) * 8 + Number(peer.writing) * 4 + Number(!peer.away) * 2 + Number(peer.place !== null);
}

/** *skriver i mål 1*, *læser*. */
export function does(peer: Peer, place: string | null): string {
	if (peer.away) return m.presence_is_away();
	if (peer.writing) return place ? m.presence_writes_in({ place }) : m.presence_writes();
	return place ? m.presence_reads_in({ place }) : m.presence_reads();
}
