// node record.mjs SEED DOCUMENTS EDITS > file: what honest clients send, in the order in which a server gets it.
//
// Four people write in each document through ProseMirror and its binding to Yjs, lose their lines, reload, undo, and come back with a
// sync step 2. For each document: how many updates (the first is the server's own), each as (client's person, bytes), then its canonical
// content. Numbers and lengths are varuints. The same seed makes the same bytes.
import * as encoding from 'lib0/encoding'
import { Schema } from 'prosemirror-model'
import { EditorState } from 'prosemirror-state'
import { tableNodes } from 'prosemirror-tables'
import { initProseMirrorDoc, updateYFragment } from 'y-prosemirror'
import * as Y from 'yjs'
import { canonical } from './canonical.mjs'

const [seed, documents, edits] = process.argv.slice(2).map(Number)
const WORDS = ['aftale ', 'mål', 'ærlig ', 'Østerklit ', 'trivsel, ', '👩‍🏫', 'å', 'budget 41,2 mio. kr. ', ' – ', 'sprog', 'e\u0301']

// mulberry32: small, and the same numbers for the same seed everywhere.
let state = seed >>> 0
function random(below) {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % below
}
const pick = (list) => list[random(list.length)]
const id = () => `g${random(1 << 30).toString(36)}`

const schema = new Schema({
  nodes: {
    doc: { content: 'block+' },
    paragraph: { group: 'block', content: 'inline*' },
    heading: { group: 'block', content: 'inline*', attrs: { level: { default: 2 } } },
    bullet_list: { group: 'block', content: 'list_item+' },
    ordered_list: { group: 'block', content: 'list_item+' },
    list_item: { content: 'block+' },
    ...tableNodes({ tableGroup: 'block', cellContent: '(paragraph | heading | bullet_list | ordered_list)+', cellAttributes: {} }),
    text: { group: 'inline' },
    hard_break: { group: 'inline', inline: true },
  },
  marks: { link: { attrs: { href: {} }, inclusive: false }, em: {}, strong: {} },
})
const { nodes, marks } = schema
const text = (words) => (words === '' ? [] : [schema.text(words)])
const paragraph = (words) => nodes.paragraph.create(null, text(words))

const BLOCKS = [
  () => paragraph(pick(WORDS)),
  () => nodes.heading.create({ level: 2 + random(3) }, text(pick(WORDS))),
  () => pick([nodes.bullet_list, nodes.ordered_list]).create(null, [paragraph(pick(WORDS)), paragraph('')].map((one) => nodes.list_item.create(null, one))),
  () => nodes.table.create(null, nodes.table_row.create(null, [nodes.table_header.create(null, paragraph(pick(WORDS))), nodes.table_cell.create({ colspan: 2 }, paragraph('12'))])),
  () => nodes.paragraph.create(null, [...text('før'), nodes.hard_break.create(), ...text('efter')]),
]

/** Where text may stand. */
function textblocks(doc) {
  const found = []
  doc.descendants((node, at) => { if (node.isTextblock) found.push({ from: at + 1, to: at + 1 + node.content.size }) })
  if (found.length === 0) throw new RangeError('nowhere to write')
  return found
}

/** No caret stands inside a character that takes two code units. */
const whole = (doc, at) => (/[\ud800-\udbff]$/.test(doc.textBetween(0, at)) ? at - 1 : at)

function spot(doc) {
  const { from, to } = pick(textblocks(doc))
  return { at: whole(doc, from + random(to - from + 1)), from, to }
}

/** Two places in one text, in order. */
function stretch(doc, most) {
  const { from, to } = pick(textblocks(doc))
  const at = whole(doc, from + random(to - from + 1))
  return [at, whole(doc, Math.min(to, at + 1 + random(most)))]
}

const type = (tr) => tr.insertText(pick(WORDS), spot(tr.doc).at)
const EDITS = [
  type, type, type, type, type, type, type, type,
  (tr) => { const [from, to] = stretch(tr.doc, 12); return to > from ? tr.delete(from, to) : tr },
  (tr) => {
    const [from, to] = stretch(tr.doc, 20)
    if (to <= from) return tr
    const mark = pick([marks.strong.create(), marks.em.create(), marks.link.create({ href: 'https://klitfjord.example/' })])
    return random(3) === 0 ? tr.removeMark(from, to, mark.type) : tr.addMark(from, to, mark)
  },
  (tr) => tr.split(spot(tr.doc).at),
  (tr) => { const { from, to } = spot(tr.doc); return tr.setBlockType(from, to, pick([nodes.paragraph, nodes.heading]), { level: 3 }) },
  (tr) => tr.insert(pick([0, tr.doc.content.size]), pick(BLOCKS)()),
  // A block goes, and may be put elsewhere.
  (tr) => {
    if (tr.doc.childCount < 2) return tr
    const nth = random(tr.doc.childCount)
    let from = 0
    for (let at = 0; at < nth; at += 1) from += tr.doc.child(at).nodeSize
    const block = tr.doc.child(nth)
    tr.delete(from, from + block.nodeSize)
    return random(2) === 0 ? tr.insert(0, block) : tr
  },
  // A page of text is pasted, or goes.
  (tr) => (random(6) === 0 ? tr.insert(tr.doc.content.size, Array.from({ length: 3 + random(12) }, () => pick(BLOCKS)())) : type(tr)),
  (tr) => (random(2) === 0 && tr.doc.childCount > 8 ? tr.delete(0, tr.doc.content.size) : type(tr)),
]

/** ProseMirror changes its document, and its binding writes the difference into the fragment. */
function edit(fragment, change) {
  const { doc, meta } = initProseMirrorDoc(fragment, schema)
  const tr = EditorState.create({ doc }).tr
  try {
    if (doc.childCount === 0) tr.insert(0, paragraph(''))
    else change(tr)
  } catch (error) {
    if (error instanceof RangeError) return // It does not fit there; an editor would not offer it.
    throw error
  }
  if (tr.docChanged) updateYFragment(fragment.doc, fragment, tr.doc, meta)
}

const filled = (words) => {
  const made = new Y.XmlFragment()
  const element = new Y.XmlElement('paragraph')
  if (words !== '') element.insert(0, [new Y.XmlText(words)])
  made.insert(0, [element])
  return made
}

function map(values) {
  const made = new Y.Map()
  for (const [key, value] of Object.entries(values)) made.set(key, value)
  return made
}

const goal = () => map({
  title: filled(pick(WORDS)), body: filled(''), success: filled(''), responsible: filled(''), origin: 'local', rank: `a${random(10)}`, due: '',
  actions: new Y.Map(), indicators: new Y.Map(), links: new Y.Map(),
})

const GOAL_EDITS = [
  (goals) => goals.set(id(), goal()),
  (goals) => goals.set(id(), goal()),
  (goals) => pick([...goals.values()])?.set(pick(['due', 'rank']), pick(['2027-05-01', '2028-12-31', 'a5'])),
  (goals) => pick([...goals.values()])?.get('actions').set(id(), map({ text: filled(pick(WORDS)), responsible: filled(''), due: '', rank: 'a1' })),
  (goals) => pick([...goals.values()])?.get('links').set(id(), map({ target: id(), relation: 'implements', reason: filled(pick(WORDS)) })),
  (goals) => pick([...goals.values()])?.get('indicators').set(id(), map({
    name: filled('elever'), source: filled(''), unit: '%', direction: 'up', frequency: 'yearly', baseline: '12', target: '20', rank: 'a0',
  })),
  (goals) => { if (goals.size > 3) goals.delete(pick([...goals.keys()])) },
]

class Server {
  constructor() {
    this.doc = new Y.Doc()
    this.doc.clientID = 1 + random(0xfffffffe)
    this.log = []
    const first = []
    this.doc.on('update', (update) => first.push(update))
    this.doc.transact(() => {
      const meta = this.doc.getMap('meta')
      meta.set('schema', 1)
      meta.set('template', 'agreement')
      for (const name of ['kerneopgave', 'rammer']) {
        this.doc.getXmlFragment(`section:${name}`).insert(0, [new Y.XmlElement('paragraph')])
      }
      this.doc.getMap('goals').set(id(), goal())
    })
    this.log.push({ person: 0, update: first[0] })
  }

  take(person, update) {
    Y.applyUpdate(this.doc, update)
    this.log.push({ person, update })
  }
}

class Person {
  constructor(server, number) {
    this.server = server
    this.number = number
    this.open(null)
  }

  /** A page is opened, perhaps with what an earlier one had kept. */
  open(kept) {
    this.doc = new Y.Doc()
    this.doc.clientID = 1 + random(0xfffffffe)
    this.outbox = []
    this.heard = 0
    this.online = true
    this.me = Symbol('me')
    if (kept) Y.applyUpdate(this.doc, kept)
    this.hear(Infinity)
    this.doc.on('update', (update, origin) => { if (origin !== this.server) this.outbox.push(update) })
    this.undo = new Y.UndoManager([...this.fragments(), this.doc.getMap('goals')], { trackedOrigins: new Set([this.me]), captureTimeout: 0 })
    if (kept) this.step2()
  }

  fragments() {
    const sections = ['kerneopgave', 'rammer'].map((name) => this.doc.getXmlFragment(`section:${name}`))
    const inGoals = [...this.doc.getMap('goals').values()].flatMap((one) => [one.get('body'), one.get('title')])
    return [...sections, ...sections, ...inGoals]
  }

  hear(most) {
    if (!this.online) return
    for (let n = 0; n < most && this.heard < this.server.log.length; n += 1) {
      Y.applyUpdate(this.doc, this.server.log[this.heard].update, this.server)
      this.heard += 1
    }
  }

  step2() {
    this.hear(Infinity)
    this.outbox = []
    this.server.take(this.number, Y.encodeStateAsUpdate(this.doc, Y.encodeStateVector(this.server.doc)))
  }

  say() {
    const update = this.online && this.outbox.shift()
    if (update) this.server.take(this.number, update)
  }

  write() {
    this.doc.transact(() => {
      if (random(12) === 0) pick(GOAL_EDITS)(this.doc.getMap('goals'))
      else edit(pick(this.fragments()), pick(EDITS))
    }, this.me)
    if (random(15) === 0) this.undo.undo()
    if (random(30) === 0) this.undo.redo()
  }

  step() {
    const what = random(100)
    if (what < 50) this.write()
    else if (what < 70) this.hear(1 + random(8))
    else if (what < 94) this.say()
    else if (what < 97) this.online = false
    else if (!this.online) { this.online = true; this.step2() }
    else if (what === 99) this.open(random(2) === 0 ? Y.encodeStateAsUpdate(this.doc) : null)
  }
}

const out = encoding.createEncoder()
encoding.writeVarUint(out, documents)
for (let nth = 0; nth < documents; nth += 1) {
  const server = new Server()
  const people = [1, 2, 3, 4].map((number) => new Person(server, number))
  while (server.log.length < edits - people.length) pick(people).step()
  for (const person of people) { person.online = true; person.step2() }
  // Whoever hears of others' marks tidies up, and says so; in the end nobody has anything to say.
  do {
    for (const person of people) {
      person.hear(Infinity)
      while (person.outbox.length > 0) person.say()
    }
  } while (people.some((person) => person.heard < server.log.length))
  encoding.writeVarUint(out, server.log.length)
  for (const { person, update } of server.log) {
    encoding.writeVarUint(out, person)
    encoding.writeVarUint8Array(out, update)
  }
  const content = canonical(people[0].doc)
  for (const person of people) {
    if (canonical(person.doc) !== content) throw new Error(`seed ${seed}, document ${nth}: Yjs does not agree with itself`)
  }
  encoding.writeVarString(out, content)
}
process.stdout.write(encoding.toUint8Array(out))
