import 'fake-indexeddb/auto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { FakeRoom, MAY_EDIT, MAY_READ } from './fake-room';
import { addGoal, readGoals } from './goals';
import { deleteLocalCopy, localCopiesOf } from './local-copy';
import { Replica } from './replica';
import { textOf } from './content';

const HANNE = { id: 'hanne', name: 'Hanne Påfundsen', initials: 'HP', colour: 1 };
const RASMUS = { id: 'rasmus', name: 'Rasmus Pladsholdersen', initials: 'RP', colour: 2 };

vi.setConfig({ testTimeout: 30_000 });

let room: FakeRoom;
let open: Replica[] = [];

beforeEach(() => {
	room = new FakeRoom();
	open = [];
});

afterEach(async () => {
	await Promise.all(open.map((replica) => replica.close()));
	for (const id of [HANNE.id, RASMUS.id]) for (const name of await localCopiesOf(id)) await deleteLocalCopy(name);
});

function replicaOf(person: typeof HANNE, to = room): Replica {
	const replica = new Replica(
		{ documentId: 'd1', personId: person.id, connection: { makeSocket: to.socketFor(person), url: () => 'ws://test', random: () => 0 } },
		{ changed: () => {}, replaced: () => {}, others: () => {}, presence: () => {}, event: () => {} }
	);
	open.push(replica);
	return replica;
}

async function ready(person: typeof HANNE, to = room): Promise<Replica> {
	const replica = replicaOf(person, to);
	await replica.open();
	await until(() => expect(replica.save.line).toBe('up'));
	return replica;
}

/** A condition is waited for, however busy the machine is. */
function until(condition: () => void, options: { timeout?: number; interval?: number } = {}): Promise<void> {
	return vi.waitFor(condition, { timeout: 10_000, interval: 20, ...options });
}

/** As an editor does: into the first paragraph of the section, at the end or where told. */
function type(replica: Replica, words: string, key = 'kerneopgave', at?: number): void {
	replica.doc.transact(() => {
		const first = replica.doc.getXmlFragment(`section:${key}`).get(0) as Y.XmlElement;
		if (first.length === 0) first.insert(0, [new Y.XmlText()]);
		const text = first.get(0) as Y.XmlText;
		text.insert(at ?? text.length, words);
	}, 'me');
}

function text(replica: Replica, key = 'kerneopgave'): string {
	return textOf(replica.doc.getXmlFragment(`section:${key}`));
}

/** Without the keys under which they are stored. */
const kept = (replica: Replica) => replica.kept.map(({ place, text }) => ({ place, text }));

const saved = (replica: Replica) => until(() => expect(replica.save.status).toEqual({ kind: 'saved' }));
const settled = (replica: Replica) => until(() => expect(replica.unsentCount).toBe(0));

describe('two people', () => {
	test('type in one paragraph, and each sees all of it', async () => {
		const [hanne, rasmus] = [await ready(HANNE), await ready(RASMUS)];
		type(hanne, 'Vi lykkes');
		await settled(hanne);
		for (let i = 0; i < 20; i += 1) {
			type(hanne, 'a');
			type(rasmus, 'b', 'kerneopgave', 0);
		}
		await Promise.all([settled(hanne), settled(rasmus)]);
		await until(() => expect(text(hanne)).toBe(text(rasmus)));
		expect(text(hanne)).toContain('Vi lykkes');
		expect(text(hanne).match(/a/g)).toHaveLength(20);
	});

	test('see each other, named by the server', async () => {
		const [hanne, rasmus] = [await ready(HANNE), await ready(RASMUS)];
		rasmus.presence.setPlace('rammer');
		await until(() => expect(hanne.presence.others()).toMatchObject([{ person: RASMUS, place: 'rammer' }]));
		await rasmus.close();
		await until(() => expect(hanne.presence.others()).toEqual([]));
	});

	test("undo takes back my own words only, and leaves a goal in which another has written", async () => {
		const [hanne, rasmus] = [await ready(HANNE), await ready(RASMUS)];
		const id = addGoal(hanne.doc, 'local');
		await settled(hanne);
		await until(() => expect(readGoals(rasmus.doc)).toHaveLength(1));
		rasmus.doc.transact(() => {
			(readGoals(rasmus.doc)[0]!.body.get(0) as Y.XmlElement).insert(0, [new Y.XmlText('Rasmus')]);
		}, 'me');
		await until(() => expect(textOf(readGoals(hanne.doc)[0]!.body)).toBe('Rasmus'));
		hanne.undo.undo();
		expect(readGoals(hanne.doc).map((goal) => [goal.id, goal.rank, textOf(goal.body)])).toEqual([[id, 'a0', 'Rasmus']]);
		const other = addGoal(hanne.doc, 'local');
		hanne.undo.undo();
		expect(readGoals(hanne.doc).some((goal) => goal.id === other)).toBe(false);
		hanne.undo.redo();
		expect(readGoals(hanne.doc).some((goal) => goal.id === other)).toBe(true);
	});
});

describe('saved means on disk', () => {
	test('not saved while the server holds the words, and said within a second', async () => {
		const hanne = await ready(HANNE);
		room.holding = true;
		type(hanne, 'x');
		expect(hanne.save.status).toEqual({ kind: 'saved' });
		await until(() => expect(hanne.save.status).toEqual({ kind: 'saving' }));
		await until(() => expect(hanne.save.status).toEqual({ kind: 'unsaved', cause: 'server' }));
		room.holding = false;
		room.commit();
		await saved(hanne);
	});

	test('the server says that it cannot save: said at once, tried again later, nothing lost', async () => {
		const hanne = await ready(HANNE);
		room.judge = () => ({ code: 'not_saving', action: 'resync' });
		type(hanne, 'blæst');
		await until(() => expect(hanne.save.status).toEqual({ kind: 'unsaved', cause: 'server' }));
		type(hanne, ' og regn');
		type(hanne, ' og sne');
		await new Promise((resolve) => setTimeout(resolve, 100));
		expect(room.received.filter((update) => update.length > 2)).toHaveLength(1);
		room.judge = () => null;
		room.askAgain();
		await saved(hanne);
		expect(room.textOf('kerneopgave')).toContain('blæst og regn og sne');
	});

	test('a server that lost patience while it could not save has refused nothing for good', async () => {
		const hanne = await ready(HANNE);
		room.judge = () => ({ code: 'not_saving', action: 'resync' });
		type(hanne, 'tålmodig');
		await until(() => expect(hanne.save.refusing).toBe(true));
		room.closeAll(4403);
		room.judge = () => null;
		await until(() => expect(hanne.unsentCount).toBe(0));
		expect(hanne.kept).toEqual([]);
		expect(room.textOf('kerneopgave')).toContain('tålmodig');
	});

	test('what was sent after a gap is not taken for saved, though the server counts it', async () => {
		const hanne = await ready(HANNE);
		let first = true;
		room.judge = () => {
			const verdict = first ? ({ code: 'gap', action: 'resync' } as const) : null;
			first = false;
			return verdict;
		};
		for (const letter of 'hul i rækken') type(hanne, letter);
		await settled(hanne);
		expect(room.textOf('kerneopgave')).toBe('<paragraph>hul i rækken</paragraph>');
	});

	test('a resync sends again what was refused for now', async () => {
		const hanne = await ready(HANNE);
		let first = true;
		room.judge = () => {
			const verdict = first ? ({ code: 'gap', action: 'resync' } as const) : null;
			first = false;
			return verdict;
		};
		type(hanne, 'hul');
		await settled(hanne);
		expect(room.textOf('kerneopgave')).toContain('hul');
	});
});

describe('the line breaks', () => {
	test('words typed meanwhile are sent when it is back', async () => {
		const [hanne, rasmus] = [await ready(HANNE), await ready(RASMUS)];
		room.closeAll(4000);
		type(hanne, 'uden forbindelse');
		await settled(hanne);
		await until(() => expect(text(rasmus)).toBe('uden forbindelse'));
	});

	test('words typed without a server survive a reload, are shown, and are sent later', async () => {
		const hanne = await ready(HANNE);
		type(hanne, 'gemt. ');
		await settled(hanne);
		room.dead = true;
		room.closeAll(1006);
		type(hanne, 'kun her');
		await until(() => expect(hanne.save.status).toEqual({ kind: 'unsaved', cause: 'network' }));
		await new Promise((resolve) => setTimeout(resolve, 30));
		await hanne.close();

		const again = replicaOf(HANNE);
		await again.open();
		await until(() => expect(again.ready).toBe(true));
		expect(text(again)).toBe('gemt. kun her');
		expect(again.editable).toBe(true);
		expect(again.unsentCount).toBe(1);
		await until(() => expect(again.save.status).toEqual({ kind: 'unsaved', cause: 'network' }));
		type(again, '!');
		room.dead = false;
		await until(() => expect(again.unsentCount).toBe(0));
		expect(room.textOf('kerneopgave')).toBe('<paragraph>gemt. kun her!</paragraph>');
	});

	test('more words than one frame takes are sent in as many as they need, and none is lost', async () => {
		room.frameBytesMax = 2_000;
		const hanne = await ready(HANNE);
		type(hanne, 'Før. ');
		await settled(hanne);
		room.dead = true;
		room.closeAll(1006);
		const words = Array.from({ length: 300 }, (_, nth) => `[ord nummer ${nth}]`);
		// At both ends by turns, and one of them deleted again: each builds on those before it.
		words.forEach((word, nth) => type(hanne, word, nth % 3 === 0 ? 'rammer' : 'kerneopgave', nth % 2 === 0 ? 0 : undefined));
		hanne.undo.stopCapturing();
		type(hanne, 'fortrudt');
		hanne.undo.undo();
		type(hanne, 'og til sidst', 'rammer');
		expect(text(hanne)).toContain('[ord nummer 2]');
		expect(text(hanne)).not.toContain('fortrudt');
		const mine = [text(hanne), text(hanne, 'rammer')];
		const before = room.received.length;
		room.dead = false;
		await settled(hanne);
		const sent = room.received.slice(before);
		// 5 kB of words alone; what names their places takes as much again, more or less by the client's id.
		expect(sent.length).toBeGreaterThan(2);
		expect(sent.every((update) => update.length < room.frameBytesMax)).toBe(true);
		expect(sent.flatMap((update) => Y.decodeUpdate(update).structs).filter((block) => block instanceof Y.Skip)).toEqual([]);
		expect([hanne.kept, hanne.generation]).toEqual([[], 0]);
		expect([room.textOf('kerneopgave'), room.textOf('rammer')]).toEqual(mine.map((words) => `<paragraph>${words}</paragraph>`));
	});

	test('a part is refused for now: it is sent again with all that comes after it', async () => {
		room.frameBytesMax = 2_000;
		const hanne = await ready(HANNE);
		room.dead = true;
		room.closeAll(1006);
		for (let nth = 0; nth < 200; nth += 1) type(hanne, `[ord nummer ${nth}]`);
		let judged = 0;
		room.judge = () => ((judged += 1) === 3 ? { code: 'gap', action: 'resync' } : null);
		room.dead = false;
		await settled(hanne);
		expect(room.textOf('kerneopgave')).toBe(`<paragraph>${text(hanne)}</paragraph>`);
		expect(text(hanne)).toContain('[ord nummer 199]');
	});

	test('an acknowledgement that was lost costs nothing: the words are not there twice', async () => {
		const hanne = await ready(HANNE);
		room.holding = true;
		type(hanne, 'én gang');
		await new Promise((resolve) => setTimeout(resolve, 20));
		Y.applyUpdate(room.doc, Y.encodeStateAsUpdate(hanne.doc));
		room.holding = false;
		room.closeAll(4000);
		await settled(hanne);
		expect(room.textOf('kerneopgave')).toBe('<paragraph>én gang</paragraph>');
	});

	test('a load that fails is never an empty document', async () => {
		room.dead = true;
		const hanne = replicaOf(HANNE);
		await hanne.open();
		await until(() => expect(hanne.trouble).toBe('load_failed'));
		expect(hanne.ready).toBe(false);
		expect(hanne.editable).toBe(false);
		room.dead = false;
		await until(() => expect(hanne.ready).toBe(true));
		expect(hanne.trouble).toBe(null);
	});
});

describe('refused for good', () => {
	test('my words are lifted out by place, the text begins anew, nothing is sent again', async () => {
		const hanne = await ready(HANNE);
		type(hanne, 'Fælles. ');
		await settled(hanne);
		const before = hanne.doc;
		room.judge = () => ({ code: 'frozen', action: 'keep_as_proposal' });
		room.abilities = MAY_READ;
		type(hanne, 'Mine sidste ord', 'kerneopgave');
		type(hanne, 'og flere', 'rammer');
		await until(() => expect(hanne.kept).toHaveLength(2));
		expect(kept(hanne)).toEqual([
			{ place: 'kerneopgave', text: 'Mine sidste ord' },
			{ place: 'rammer', text: 'og flere' }
		]);
		await until(() => expect(hanne.ready).toBe(true));
		expect(hanne.doc).not.toBe(before);
		expect(hanne.doc.clientID).not.toBe(before.clientID);
		expect(text(hanne)).toBe('Fælles.');
		expect(hanne.generation).toBe(1);
		expect(hanne.editable).toBe(false);
		const sent = room.received.length;
		room.closeAll(4000);
		await until(() => expect(room.connections).toBe(3));
		await until(() => expect(hanne.save.line).toBe('up'));
		expect(room.received.slice(sent)).toEqual([new Uint8Array([0, 0])]);
	});

	test('a document that is full: said beforehand, then the pen is taken, and the words on their way are kept', async () => {
		const hanne = await ready(HANNE);
		expect(hanne.nearlyFull).toBe(false);
		room.nearlyFull();
		await until(() => expect(hanne.nearlyFull).toBe(true));
		expect(hanne.editable).toBe(true);
		room.judge = () => ({ code: 'document_full', action: 'keep_as_proposal' });
		room.abilities = { ...MAY_READ, read_only_because: 'full' };
		type(hanne, 'for sent');
		await until(() => expect(kept(hanne)).toEqual([{ place: 'kerneopgave', text: 'for sent' }]));
		await until(() => expect(hanne.save.line).toBe('up'));
		expect([hanne.editable, hanne.abilities?.read_only_because]).toEqual([false, 'full']);
		// The limit was raised: whoever comes back writes on, and is not told what holds no longer.
		room.judge = () => null;
		room.abilities = MAY_EDIT;
		room.closeAll(4000);
		await until(() => expect(hanne.editable).toBe(true));
		expect(hanne.nearlyFull).toBe(false);
	});

	test('kept words survive a reload until they are dropped', async () => {
		const hanne = await ready(HANNE);
		room.judge = () => ({ code: 'frozen', action: 'keep_as_proposal' });
		type(hanne, 'vent');
		await until(() => expect(hanne.kept).toHaveLength(1));
		await new Promise((resolve) => setTimeout(resolve, 30));
		await hanne.close();
		const again = await ready(HANNE);
		expect(kept(again)).toEqual([{ place: 'kerneopgave', text: 'vent' }]);
		again.discardKept();
		await new Promise((resolve) => setTimeout(resolve, 30));
		await again.close();
		expect(kept(await ready(HANNE))).toEqual([]);
	});

	test('words written offline before a freeze never merge by themselves', async () => {
		const hanne = await ready(HANNE);
		room.dead = true;
		room.closeAll(1006);
		type(hanne, 'før frysningen');
		room.judge = () => ({ code: 'client_id', action: 'new_client_id' });
		room.dead = false;
		await until(() => expect(kept(hanne)).toEqual([{ place: 'kerneopgave', text: 'før frysningen' }]));
		expect(room.textOf('kerneopgave')).not.toContain('før');
	});

	test('S8 words written offline before a freeze are kept apart also after reopening, under an id that nobody has seen', async () => {
		const hanne = await ready(HANNE);
		room.dead = true;
		room.closeAll(1006);
		type(hanne, 'før frysningen');
		// Frozen and opened again meanwhile: the room would admit anything.
		room.freezes = 1;
		room.dead = false;
		await until(() => expect(kept(hanne)).toEqual([{ place: 'kerneopgave', text: 'før frysningen' }]));
		expect(room.textOf('kerneopgave')).not.toContain('før');
		type(hanne, 'efter');
		await settled(hanne);
		expect(room.textOf('kerneopgave')).toContain('efter');
	});

	test('S8 the count is remembered through a reload, by each word', async () => {
		const hanne = await ready(HANNE);
		room.dead = true;
		room.closeAll(1006);
		type(hanne, 'før frysningen');
		await new Promise((resolve) => setTimeout(resolve, 30));
		await hanne.close();
		room.freezes = 1;
		room.dead = false;
		const again = await ready(HANNE);
		await until(() => expect(kept(again)).toEqual([{ place: 'kerneopgave', text: 'før frysningen' }]));
		expect(room.textOf('kerneopgave')).not.toContain('før');
	});

	test('S8 after a freeze that left nothing behind, writing goes on under a new client id', async () => {
		const hanne = await ready(HANNE);
		type(hanne, 'Først. ');
		await settled(hanne);
		const before = hanne.doc.clientID;
		room.freezes = 1;
		room.closeAll(4000);
		await until(() => expect(room.connections).toBe(2));
		await until(() => expect(hanne.save.line).toBe('up'));
		expect(hanne.doc.clientID).not.toBe(before);
		expect(hanne.generation).toBe(0);
		type(hanne, 'Så dette.');
		await settled(hanne);
		expect(kept(hanne)).toEqual([]);
	});

	test('a retired client id while typing: the words are placed again under a new one', async () => {
		const hanne = await ready(HANNE);
		type(hanne, 'Først. ');
		await settled(hanne);
		const retired = hanne.doc.clientID;
		const names = (update: Uint8Array) => Y.decodeUpdate(update).structs.some(({ id }) => id.client === retired);
		room.judge = (update) => (names(update) ? { code: 'client_id', action: 'new_client_id' } : null);
		type(hanne, 'Så dette.');
		const id = addGoal(hanne.doc, 'political');
		await until(() => expect(room.textOf('kerneopgave')).toBe('<paragraph>Først. Så dette.</paragraph>'));
		await until(() => expect(hanne.ready).toBe(true));
		expect(kept(hanne)).toEqual([]);
		expect(readGoals(room.doc).map((goal) => goal.id)).toEqual([id]);
		expect(text(hanne)).toBe('Først. Så dette.');
	});

	test('a client id that somebody else has too: my words are not taken for theirs, and are placed again', async () => {
		const hanne = await ready(HANNE);
		const taken = hanne.doc.clientID;
		const other = new Y.Doc();
		other.clientID = taken;
		Y.applyUpdate(other, Y.encodeStateAsUpdate(room.doc));
		(other.getXmlFragment('section:rammer').get(0) as Y.XmlElement).insert(0, [new Y.XmlText('En andens ord, mange flere end mine.')]);
		Y.applyUpdate(room.doc, Y.encodeStateAsUpdate(other));
		const names = (update: Uint8Array) => Y.decodeUpdate(update).structs.some(({ id }) => id.client === taken);
		room.judge = (update) => (names(update) ? { code: 'client_id', action: 'new_client_id' } : null);
		type(hanne, 'Mine.');
		await until(() => expect(room.textOf('kerneopgave')).toBe('<paragraph>Mine.</paragraph>'));
		await until(() => expect(hanne.ready).toBe(true));
		expect(text(hanne)).toBe('Mine.');
		expect(hanne.doc.getXmlFragment('section:rammer').toString()).toBe(room.textOf('rammer'));
	});

	test('after a reopening a new client id is taken before the first key', async () => {
		const hanne = await ready(HANNE);
		const before = hanne.doc.clientID;
		room.change(MAY_READ, 'frozen');
		await until(() => expect(hanne.editable).toBe(false));
		room.change(MAY_EDIT, 'restored');
		await until(() => expect(hanne.editable).toBe(true));
		expect(hanne.doc.clientID).not.toBe(before);
		type(hanne, 'igen');
		await settled(hanne);
		expect(text(hanne)).toBe('igen');
	});

	test('4403 stops, keeps my words, and does not come back', async () => {
		const hanne = await ready(HANNE);
		room.holding = true;
		type(hanne, 'ikke sendt');
		room.closeAll(4403);
		await until(() => expect(hanne.trouble).toBe('stopped'));
		expect(kept(hanne)).toEqual([{ place: 'kerneopgave', text: 'ikke sendt' }]);
		await new Promise((resolve) => setTimeout(resolve, 600));
		expect(room.connections).toBe(1);
	});

	test('4401 waits for a sign-in and keeps what is unsent', async () => {
		const hanne = await ready(HANNE);
		room.dead = true;
		room.closeAll(4401);
		type(hanne, 'venter');
		await until(() => expect(hanne.trouble).toBe('signed_out'));
		room.dead = false;
		hanne.resume();
		await settled(hanne);
		expect(room.textOf('kerneopgave')).toContain('venter');
		expect(hanne.trouble).toBe(null);
	});

	test('a database that went back in time gets my words offered, nobody else’s', async () => {
		const [hanne, rasmus] = [await ready(HANNE), await ready(RASMUS)];
		type(rasmus, 'Rasmus. ');
		await settled(rasmus);
		await until(() => expect(text(hanne)).toBe('Rasmus.'));
		type(hanne, 'Hanne');
		await settled(hanne);
		room.doc = new Y.Doc();
		Y.applyUpdate(room.doc, Y.encodeStateAsUpdate(new FakeRoom().doc));
		room.seq = 1;
		room.closeAll(4000);
		await until(() => expect(kept(hanne)).toEqual([{ place: 'kerneopgave', text: 'Hanne' }]));
		await until(() => expect(hanne.ready).toBe(true));
		expect(text(hanne)).toBe('');
	});
});

test('two tabs of one person share the local copy: one sends what the other could not', async () => {
	const first = await ready(HANNE);
	room.dead = true;
	room.closeAll(1006);
	type(first, 'fra den første fane');
	await new Promise((resolve) => setTimeout(resolve, 30));
	const second = replicaOf(HANNE);
	await second.open();
	room.dead = false;
	await Promise.all([settled(first), settled(second)]);
	expect(room.textOf('kerneopgave')).toBe('<paragraph>fra den første fane</paragraph>');
	type(second, '!');
	await until(() => expect(text(first)).toBe('fra den første fane!'));
});

/** mulberry32: the same storm for the same seed. */
function random(seed: number): () => number {
	return () => {
		seed = (seed + 0x6d2b79f5) | 0;
		let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
	};
}

test.each([1, 2, 3, 4, 5, 6])('storm %i: lines break, commits are held, gaps are found, and every word is there once', async (seed) => {
	const next = random(seed);
	const people = [await ready(HANNE), await ready(RASMUS)];
	let written = 0;
	for (let step = 0; step < 120; step += 1) {
		const roll = next();
		const who = people[Math.floor(next() * 2)]!;
		if (roll < 0.7) type(who, ` w${written++}.`, next() < 0.5 ? 'kerneopgave' : 'rammer');
		else if (roll < 0.78) room.closeAll([4000, 4001, 1006][Math.floor(next() * 3)]!);
		else if (roll < 0.84) room.holding = !room.holding;
		else if (roll < 0.9) room.judge = () => (next() < 0.2 ? { code: 'gap', action: 'resync' } : null);
		else if (roll < 0.93) who.undo.redo();
		else await new Promise((resolve) => setTimeout(resolve, next() * 20));
	}
	room.judge = () => null;
	room.holding = false;
	room.commit();
	await until(
		() => {
			room.commit();
			expect(people.map((person) => person.unsentCount)).toEqual([0, 0]);
			expect(text(people[0]!)).toBe(text(people[1]!));
		},
		{ timeout: 15_000, interval: 50 }
	);
	const all = `${text(people[0]!)} ${text(people[0]!, 'rammer')}`;
	expect(all).toBe(`${textOf(room.doc.getXmlFragment('section:kerneopgave'))} ${textOf(room.doc.getXmlFragment('section:rammer'))}`);
	for (let i = 0; i < written; i += 1) expect(all.split(`w${i}.`)).toHaveLength(2);
	expect(people.map((person) => person.kept.length)).toEqual([0, 0]);
});

/** Each code with the action that goes with it, and every action with a code that it does not go with. */
const REFUSALS = (
	[
		['malformed', 'keep_as_proposal'],
		['too_large', 'keep_as_proposal'],
		['gap', 'resync'],
		['dead', 'keep_as_proposal'],
		['schema', 'keep_as_proposal'],
		['read_only', 'keep_as_proposal'],
		['frozen', 'keep_as_proposal'],
		['client_id', 'new_client_id'],
		['document_full', 'keep_as_proposal'],
		['not_saving', 'resync'],
		['quarantined', 'keep_as_proposal'],
		['not_saving', 'keep_as_proposal'],
		['frozen', 'resync'],
		['gap', 'new_client_id'],
		['read_only', 'sign_in']
	] as const
).map(([code, action]) => ({ code, action }));

/** The blocks in an update, as `client:clock`. */
function blocksOf(update: Uint8Array): string[] {
	return Y.decodeUpdate(update).structs.flatMap(({ id, length }) => Array.from({ length }, (_, at) => `${id.client}:${id.clock + at}`));
}

describe('nothing that was refused for good is ever sent again', () => {
	test.each(REFUSALS)('$code, $action', async ({ code, action }) => {
		const next = random(code.length + action.length);
		const hanne = await ready(HANNE);
		type(hanne, 'Før. ');
		await settled(hanne);
		const refused: string[] = [];
		const before = room.received.length;
		let sentAgain = 0;
		let refusing = true;
		room.judge = (update) => {
			const blocks = blocksOf(update);
			if (blocks.some((block) => refused.includes(block))) sentAgain += 1;
			if (!refusing) return null;
			// Refused once, so that what comes after it shows what the page does by itself.
			refusing = false;
			refused.push(...blocks);
			return { code, action };
		};
		const letters = Math.floor(next() * 5) + 2;
		for (let at = 0; at < letters; at += 1) type(hanne, `${at}`);
		const words = Array.from({ length: letters }, (_, at) => at).join('');
		await until(() => expect(refusing).toBe(false));
		if (action === 'sign_in') {
			await until(() => expect(hanne.trouble).toBe('signed_out'));
			hanne.resume();
			room.closeAll(4000);
		} else if (action === 'resync' && code !== 'gap') {
			await until(() => expect(room.received.length).toBeGreaterThanOrEqual(before + letters));
			room.askAgain();
		}
		await settled(hanne);
		await until(() => expect(hanne.save.line).toBe('up'));
		if (action === 'keep_as_proposal') {
			expect(kept(hanne)).toEqual([{ place: 'kerneopgave', text: words }]);
			expect(text(hanne)).toBe('Før.');
		} else {
			expect(kept(hanne)).toEqual([]);
			expect(text(hanne)).toBe(`Før. ${words}`);
		}
		// Nor when the line breaks afterwards.
		const connections = room.connections;
		room.closeAll([4000, 4001, 1006][Math.floor(next() * 3)]!);
		await until(() => expect(room.connections).toBe(connections + 1));
		await until(() => expect(hanne.save.line).toBe('up'));
		const again = action === 'resync' || action === 'sign_in';
		expect(sentAgain, 'what may come again comes once, what may not never').toBe(again ? 1 : 0);
		expect(textOf(room.doc.getXmlFragment('section:kerneopgave'))).toBe(text(hanne));
	});
});

test('a database that is another one, with no lower number to tell by, replaces what is here', async () => {
	const [hanne, rasmus] = [await ready(HANNE), await ready(RASMUS)];
	type(rasmus, 'gammelt');
	await until(() => expect(text(hanne)).toBe('gammelt'));
	await rasmus.close();
	room.doc = new Y.Doc();
	Y.applyUpdate(room.doc, Y.encodeStateAsUpdate(new FakeRoom().doc));
	room.seq = 99;
	room.closeAll(4000);
	await until(() => expect(hanne.generation).toBe(1));
	await until(() => expect(hanne.ready).toBe(true));
	expect(text(hanne)).toBe('');
	type(hanne, 'nyt');
	await settled(hanne);
	expect(room.textOf('kerneopgave')).toBe('<paragraph>nyt</paragraph>');
});

test('a schema that is not known opens read-only', async () => {
	room.schema = 2;
	const hanne = await ready(HANNE);
	expect(hanne.trouble).toBe('unknown_schema');
	expect(hanne.editable).toBe(false);
});
