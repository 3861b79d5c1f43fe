/**
 * Writes client-protocol/vectors/yjs.json: frames made by Yjs itself, with what they mean. The server's tests and the web's read the
 * same file. Client ids and clocks are fixed, so the file only changes when Yjs does: `node scripts/golden.mjs`.
 */
import { writeFileSync } from 'node:fs';
import * as encoding from 'lib0/encoding';
import * as awarenessProtocol from 'y-protocols/awareness';
import * as sync from 'y-protocols/sync';
import * as Y from 'yjs';

const OUT = new URL('../../client-protocol/vectors/yjs.json', import.meta.url);

const frame = (write) => {
	const encoder = encoding.createEncoder();
	write(encoder);
	return Buffer.from(encoding.toUint8Array(encoder)).toString('hex');
};
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const syncFrame = (write) => frame((encoder) => (encoding.writeVarUint(encoder, 0), write(encoder)));

const doc = new Y.Doc();
doc.clientID = 7;
const updates = [];
doc.on('update', (update) => updates.push(update));
const fragment = doc.getXmlFragment('section:kerneopgave');
doc.transact(() => {
	const paragraph = new Y.XmlElement('paragraph');
	paragraph.insert(0, [new Y.XmlText('Vi giver børn lyst til at lære 🎈')]);
	fragment.insert(0, [paragraph]);
});
const empty = new Y.Doc();
const text = fragment.get(0).get(0);
text.format(3, 5, { strong: {} });
text.delete(0, 3);

/** An emoji is two UTF-16 units: positions on the wire count those (S6). */
const insertAfterEmoji = (() => {
	const other = new Y.Doc();
	other.clientID = 300;
	Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
	let last;
	other.on('update', (update) => (last = update));
	const t = other.getXmlFragment('section:kerneopgave').get(0).get(0);
	t.insert(t.length, '!');
	return last;
})();

const presenceDoc = new Y.Doc();
presenceDoc.clientID = 4_294_967_295;
const awareness = new awarenessProtocol.Awareness(presenceDoc);
awareness.setLocalState({ place: 'kerneopgave', writing: true, away: false, name: 'Æske Østergård' });
const awarenessFrame = (states) =>
	frame((encoder) => {
		encoding.writeVarUint(encoder, 1);
		encoding.writeVarUint8Array(encoder, states);
	});
const presence = awarenessProtocol.encodeAwarenessUpdate(awareness, [presenceDoc.clientID]);
const presenceClock = awareness.meta.get(presenceDoc.clientID).clock;
awareness.setLocalState(null);
const gone = awarenessProtocol.encodeAwarenessUpdate(awareness, [presenceDoc.clientID]);

const vectors = [
	{
		name: 'sync step 1 of an empty document',
		hex: syncFrame((e) => sync.writeSyncStep1(e, empty)),
		means: { kind: 'step1', state_vector_hex: hex(Y.encodeStateVector(empty)), clocks: {} }
	},
	{
		name: 'sync step 1 of a document with one client',
		hex: syncFrame((e) => sync.writeSyncStep1(e, doc)),
		means: { kind: 'step1', state_vector_hex: hex(Y.encodeStateVector(doc)), clocks: { 7: Y.getState(doc.store, 7) } }
	},
	{
		name: 'sync step 2 with everything',
		hex: syncFrame((e) => sync.writeSyncStep2(e, doc)),
		means: { kind: 'step2', update_hex: hex(Y.encodeStateAsUpdate(doc)), text: fragment.toString() }
	},
	{
		name: 'sync step 2 with nothing but the delete set',
		hex: syncFrame((e) => sync.writeSyncStep2(e, doc, Y.encodeStateVector(doc))),
		means: { kind: 'step2', update_hex: hex(Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc))) }
	},
	{
		name: 'sync step 2 of an empty document',
		hex: syncFrame((e) => sync.writeSyncStep2(e, empty)),
		means: { kind: 'step2', update_hex: '0000' }
	},
	...['update: a paragraph with Danish letters and an emoji', 'update: a mark over five characters', 'update: a deletion'].map((name, i) => ({
		name,
		hex: syncFrame((e) => sync.writeUpdate(e, updates[i])),
		means: { kind: 'update', update_hex: hex(updates[i]) }
	})),
	{
		name: 'update of a second client, after the emoji',
		hex: syncFrame((e) => sync.writeUpdate(e, insertAfterEmoji)),
		means: { kind: 'update', update_hex: hex(insertAfterEmoji) }
	},
	{
		name: 'awareness: one state, largest 32-bit client id',
		hex: awarenessFrame(presence),
		means: {
			kind: 'awareness',
			states_hex: hex(presence),
			entries: [
				{
					client: presenceDoc.clientID,
					clock: presenceClock,
					state: { place: 'kerneopgave', writing: true, away: false, name: 'Æske Østergård' }
				}
			]
		}
	},
	{
		name: 'awareness: gone',
		hex: awarenessFrame(gone),
		means: {
			kind: 'awareness',
			states_hex: hex(gone),
			entries: [{ client: presenceDoc.clientID, clock: presenceClock + 1, state: null }]
		}
	},
	{ name: 'query awareness', hex: frame((e) => encoding.writeVarUint(e, 3)), means: { kind: 'query_awareness' } }
];

writeFileSync(OUT, JSON.stringify({ made_by: 'web/scripts/golden.mjs: yjs 13.6, y-protocols 1.0', vectors }, null, '\t') + '\n');
awareness.destroy();
