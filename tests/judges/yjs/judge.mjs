// node judge.mjs '{"origin", "document", "cookies": [], "seed", "rounds"}': clients of Yjs' own kind against a running server.
import { strict as assert } from 'node:assert'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { canonical } from './canonical.mjs'

const { origin, document, cookies, seed, rounds } = JSON.parse(process.argv[2])
const PATIENCE_MS = 60_000
const WORDS = ['aftale ', 'mål', 'ærlig ', 'Østerklit ', 'trivsel, ', '👩‍🏫', 'å', 'budget 41,2 mio. kr. ', ' – ', 'sprog']

// mulberry32: small, and the same numbers for the same seed everywhere.
let state = seed >>> 0
function random(below) {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % below
}
const pick = (list) => list[random(list.length)]

class Client {
  constructor(cookie) {
    const headers = { Cookie: cookie, Origin: origin }
    class Socket extends WebSocket {
      constructor(url, protocols) { super(url, protocols, { headers }) }
    }
    this.doc = new Y.Doc()
    this.closes = []
    this.provider = new WebsocketProvider(`${origin.replace('http', 'ws')}/live`, document, this.doc, {
      WebSocketPolyfill: Socket, disableBc: true,
    })
    this.provider.on('connection-close', (event) => { if (event) this.closes.push(event.code) })
    this.sections = []
  }

  async ready() {
    await until('synced', () => this.provider.synced)
    this.sections = [...this.doc.share.keys()].filter((name) => name.startsWith('section:')).map((name) => this.doc.getXmlFragment(name))
    this.goals = this.doc.getMap('goals')
    this.undo = new Y.UndoManager([...this.sections, this.goals], { captureTimeout: 0 })
  }

  edit() {
    this.doc.transact(() => { pick(EDITS)(this) }, this)
    // Not every edit is one that can be undone; Yjs knows.
    if (random(12) === 0) this.undo.undo()
    if (random(30) === 0) this.undo.redo()
  }

  fragments() {
    const inGoals = [...this.goals.values()].flatMap((goal) => [goal.get('body'), goal.get('title')]).filter((one) => one)
    return [...this.sections, ...inGoals]
  }

  text() {
    const texts = pick(this.fragments()).toArray().flatMap(textsIn)
    return texts.length > 0 ? pick(texts) : null
  }
}

const textsIn = (node) => (node instanceof Y.XmlText ? [node] : node.toArray().flatMap(textsIn))

/** A place between two characters, never inside one that takes two code units. */
function placeIn(text) {
  const words = text.toDelta().map((run) => run.insert).join('')
  let at = random(words.length + 1)
  while (at > 0 && at < words.length && words.codePointAt(at - 1) > 0xffff) at -= 1
  return { at, words }
}

function paragraph(words) {
  const element = new Y.XmlElement('paragraph')
  if (words !== '') element.insert(0, [new Y.XmlText(words)])
  return element
}

function element(name, children, attributes = {}) {
  const made = new Y.XmlElement(name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
  made.insert(0, children)
  return made
}

const fragment = (...children) => { const made = new Y.XmlFragment(); made.insert(0, children); return made }
const id = () => `${Date.now().toString(16)}-${random(1 << 30).toString(16)}-${random(1 << 30).toString(16)}`

const type = (client) => {
  const text = client.text()
  if (text) text.insert(placeIn(text).at, pick(WORDS))
}

const EDITS = [
  type, type, type, type, type, type,
  // Words go.
  (client) => {
    const text = client.text()
    if (!text) return
    const [one, other] = [placeIn(text).at, placeIn(text).at].sort((a, b) => a - b)
    if (other > one) text.delete(one, Math.min(other - one, 12))
  },
  // A mark is set or taken away.
  (client) => {
    const text = client.text()
    if (!text) return
    const [one, other] = [placeIn(text).at, placeIn(text).at].sort((a, b) => a - b)
    const mark = pick([{ strong: {} }, { em: {} }, { link: { href: 'https://klitfjord.example/' } }, { strong: null }, { link: null }])
    if (other > one) text.format(one, other - one, mark)
  },
  // A paragraph is split, as y-prosemirror does it: the tail goes and is put in again.
  (client) => {
    const parent = pick(client.sections)
    const at = parent.toArray().findIndex((node) => node.nodeName === 'paragraph' && node.get(0) instanceof Y.XmlText)
    if (at < 0) return
    const text = parent.get(at).get(0)
    const { at: cut, words } = placeIn(text)
    if (cut < words.length) text.delete(cut, words.length - cut)
    parent.insert(at + 1, [paragraph(words.slice(cut))])
  },
  // Blocks come and go.
  (client) => {
    const parent = pick(client.sections)
    const block = pick([
      () => paragraph(pick(WORDS)),
      () => element('heading', [new Y.XmlText(pick(WORDS))], { level: 2 + random(3) }),
      () => element(pick(['bullet_list', 'ordered_list']), [element('list_item', [paragraph(pick(WORDS))]), element('list_item', [paragraph('')])]),
      () => element('table', [element('table_row', [
        element('table_header', [paragraph(pick(WORDS))], { colspan: 1, rowspan: 1 }), element('table_cell', [paragraph('12')], { colspan: 2, rowspan: 1 }),
      ])]),
      () => element('paragraph', [new Y.XmlText('før'), new Y.XmlElement('hard_break'), new Y.XmlText('efter')]),
    ])()
    parent.insert(random(parent.length + 1), [block])
  },
  (client) => {
    const parent = pick(client.sections)
    if (parent.length > 1) parent.delete(random(parent.length), 1)
  },
  // Goals.
  (client) => {
    const goal = new Y.Map()
    for (const [key, value] of [
      ['title', fragment(paragraph(pick(WORDS)))], ['body', fragment(paragraph(''))],
      ['success', fragment(element('bullet_list', [element('list_item', [paragraph(pick(WORDS))])]))], ['responsible', fragment(paragraph(''))],
      ['origin', pick(['political', 'executive', 'local'])], ['rank', `a${random(10)}`], ['due', ''],
      ['actions', new Y.Map()], ['indicators', new Y.Map()], ['links', new Y.Map()],
    ]) goal.set(key, value)
    client.goals.set(id(), goal)
  },
  (client) => {
    const goal = pick([...client.goals.values()])
    if (!goal) return
    goal.set(pick(['due', 'rank']), pick(['2027-05-01', '2028-12-31', 'a5']))
    const action = new Y.Map()
    for (const [key, value] of [['text', fragment(paragraph(pick(WORDS)))], ['responsible', fragment(paragraph(''))], ['due', ''], ['rank', 'a1']]) {
      action.set(key, value)
    }
    goal.get('actions')?.set(id(), action)
    const link = new Y.Map()
    for (const [key, value] of [['target', id()], ['relation', 'implements'], ['reason', fragment(paragraph(pick(WORDS)))]]) link.set(key, value)
    goal.get('links')?.set(id(), link)
  },
  (client) => {
    const ids = [...client.goals.keys()]
    if (ids.length > 3 && random(3) === 0) client.goals.delete(pick(ids))
  },
]

async function until(what, holds) {
  const giveUp = Date.now() + PATIENCE_MS
  while (!(await holds())) {
    if (Date.now() > giveUp) throw new Error(`never came true: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function onDisk() {
  const answer = await fetch(`${origin}/api/documents/${document}/content`, { headers: { Cookie: cookies[0] } })
  assert.equal(answer.status, 200)
  return answer.text()
}

const clients = cookies.map((cookie) => new Client(cookie))
await Promise.all(clients.map((client) => client.ready()))

// Presence: each sees the others, by the names that the server gives them.
clients.forEach((client, at) => client.provider.awareness.setLocalState({ user: { name: `påstår at være ${at}` }, cursor: null }))
const others = (client) => [...client.provider.awareness.getStates()].filter(([clientId]) => clientId !== client.doc.clientID).map(([, seen]) => seen.user)
await until('presence', () => clients.every((client) => others(client).some((user) => user?.peer_id)))
assert.ok(clients.every((client) => others(client).every((user) => !user.name.startsWith('påstår'))), 'nobody is who they say they are')

let edits = 0
for (let round = 0; round < rounds; round += 1) {
  for (let step = 0; step < 60; step += 1) {
    const client = pick(clients)
    client.edit()
    edits += 1
    if (random(25) === 0) client.provider.disconnect()
    else if (random(25) === 0) client.provider.ws?.terminate()
    if (random(8) === 0) pick(clients).provider.connect()
    if (random(3) === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  clients.forEach((client) => client.provider.connect())
  await until('all synced', () => clients.every((client) => client.provider.synced))
  let disk = ''
  const agree = async () => {
    disk = await onDisk()
    return clients.every((client) => canonical(client.doc) === disk)
  }
  await until(`round ${round}: all say what is on disk`, agree).catch((error) => {
    clients.forEach((client) => console.error('closed with', client.closes.join(' '), '·', canonical(client.doc)))
    console.error('disk', disk)
    throw error
  })
}
const refused = clients.flatMap((client) => client.closes).filter((code) => code >= 4401)
assert.deepEqual(refused, [], 'an honest client is never refused')
console.log(`Yjs ${clients.length} clients · seed ${seed} · ${edits} edits in ${rounds} rounds · all equal to the disk`)
clients.forEach((client) => { client.provider.destroy(); client.doc.destroy() })
