// The canonical content of a live document (schema version 1), from a Y.Doc: written from the description alone, so that it can judge.
import * as Y from 'yjs'

const MARKS = ['strong', 'em', 'link']
const ATTRIBUTES = {
  paragraph: {}, bullet_list: {}, ordered_list: {}, list_item: {}, table: {}, table_row: {}, hard_break: {},
  heading: { level: 2 }, table_cell: { colspan: 1, rowspan: 1 }, table_header: { colspan: 1, rowspan: 1 },
}

/** RFC 8785: keys sorted by their UTF-16 code units, no spaces. */
export function spell(value) {
  if (Array.isArray(value)) return `[${value.map(spell).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${spell(value[key])}`).join(',')}}`
}

export function canonical(doc) {
  const sections = {}
  for (const name of doc.share.keys()) {
    if (!name.startsWith('section:')) continue
    const content = nodes(doc.getXmlFragment(name))
    if (content.length > 0) sections[name.slice('section:'.length)] = content
  }
  const meta = doc.getMap('meta')
  return spell({ schema: meta.get('schema'), template: meta.get('template'), sections, goals: goals(doc.getMap('goals')) })
}

function goals(map) {
  const all = items(map, ['title', 'body', 'success', 'responsible'], (id, goal, texts) => ({
    id, ...texts, origin: text(goal, 'origin', 'local'), rank: text(goal, 'rank', 'a0'), due: text(goal, 'due'),
    actions: items(goal.get('actions'), ['text', 'responsible'], (id, action, texts) =>
      ({ id, ...texts, due: text(action, 'due'), rank: text(action, 'rank', 'a0') })).sort(byRank),
    indicators: items(goal.get('indicators'), ['name', 'source'], (id, one, texts) => ({
      id, ...texts, unit: text(one, 'unit'), direction: text(one, 'direction'), frequency: text(one, 'frequency'),
      baseline: text(one, 'baseline'), target: text(one, 'target'),
    })).sort(byId),
    links: items(goal.get('links'), ['reason'], (id, link, texts) =>
      ({ id, ...texts, target: text(link, 'target'), relation: text(link, 'relation', 'contributes_to') }))
      .filter((link) => link.target !== '').sort(byId),
  }))
  return all.sort(byRank)
}

/** The maps in a map; one that lacks any of its texts is not there. */
function items(map, fragments, make) {
  const all = []
  if (!(map instanceof Y.Map)) return all
  for (const [id, item] of map.entries()) {
    if (!(item instanceof Y.Map)) continue
    const texts = {}
    for (const name of fragments) if (item.get(name) instanceof Y.XmlFragment) texts[name] = nodes(item.get(name))
    if (Object.keys(texts).length === fragments.length) all.push(make(id, item, texts))
  }
  return all
}

const text = (map, key, otherwise = '') => (typeof map.get(key) === 'string' ? map.get(key) : otherwise)
const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0)
const byId = (one, other) => compare(one.id, other.id)
const byRank = (one, other) => compare(one.rank, other.rank) || byId(one, other)

function nodes(parent) {
  const found = []
  for (const child of parent.toArray()) {
    if (child instanceof Y.XmlElement) {
      const attributes = ATTRIBUTES[child.nodeName]
      if (!attributes) continue
      const attrs = {}
      for (const [name, otherwise] of Object.entries(attributes)) attrs[name] = child.getAttribute(name) ?? otherwise
      found.push({ type: child.nodeName, attrs, content: nodes(child) })
    } else if (child instanceof Y.XmlText) {
      for (const run of child.toDelta()) addRun(found, run)
    }
  }
  return found
}

function addRun(found, { insert, attributes = {} }) {
  if (typeof insert !== 'string' || insert === '') return
  const marks = MARKS.filter((name) => attributes[name] != null)
    .map((type) => ({ type, attrs: type === 'link' ? { href: attributes.link.href } : {} }))
  const last = found.at(-1)
  if (last?.type === 'text' && spell(last.marks) === spell(marks)) last.text += insert
  else found.push({ type: 'text', text: insert, marks })
}
