// Tests of the module on the clock of the test runner, in a page that is made up:
// node --test reading-sessions.test.mjs, with LCP_MODULE naming the module.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { pathToFileURL } from 'node:url'

const { ReadingSessions } = await import(pathToFileURL(process.env.LCP_MODULE))

const START = Date.parse('2030-05-01T12:00:00Z')
const SERVER = 'https://lcp.example.com/'

let page, requests, answer, told, sessions

// A page that is in sight, has the focus, and whose browser has no IndexedDB.
beforeEach(() => {
  mock.timers.enable({ apis: ['setInterval', 'setTimeout', 'Date'], now: START })
  mock.method(Math, 'random', () => 1)
  page = new EventTarget()
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: 'visible', hasFocus: () => page.focus })
  page.focus = true
  page.online = true
  globalThis.addEventListener = page.addEventListener.bind(page)
  Object.defineProperty(globalThis, 'navigator', { configurable: true, value: { get onLine() { return page.online } } })
  AbortSignal.timeout = () => new AbortController().signal
  globalThis.BroadcastChannel = undefined
  requests = []
  answer = accepting()
  globalThis.fetch = async (url, init) => {
    if (init.method === 'HEAD') {
      if (answer === unreachable) unreachable()
      return { ok: true }
    }
    const body = JSON.parse(init.body)
    requests.push({ path: new URL(url).pathname, body, init })
    const { status = 200, body: said, headers = {} } = await answer(body)
    return { ok: status < 300, status, headers: new Headers(headers), json: async () => structuredClone(said) }
  }
  told = []
})

afterEach(async () => {
  mock.timers.reset()
  mock.restoreAll()
})

// accepting is a server that starts a session of a day, which may be read offline
// for a month.
function accepting() {
  let started = false
  const outcome = event => {
    const status = started ? 'continued' : 'started'
    started = true
    return { eventId: event.eventId, status, sessionId: 's1', validUntil: iso(24 * 3600), offlineUntil: iso(30 * 24 * 3600) }
  }
  return body => ({ body: body.events ? { results: body.events.map(outcome) } : outcome(body) })
}

const iso = seconds => new Date(Date.now() + seconds * 1000).toISOString()
const unreachable = () => { throw new TypeError('fetch failed') }
const barred = () => { throw new TypeError('may not be read') }
const problem = (status, type = 'about:blank') => () => ({ status, body: { type, title: 'Problem', status } })

function open(options) {
  sessions = new ReadingSessions({ licenseKey: 'rs_1', userToken: 'u1', publicationToken: 'p1', server: SERVER, ...options })
  for (const type of ['started', 'continued', 'blocked', 'offline', 'error']) {
    sessions.addEventListener(type, ({ detail }) => told.push({ type, ...detail }))
  }
  sessions.start()
  return settle()
}

// settle lets all that waits for nothing but its turn happen.
async function settle() {
  for (let i = 0; i < 30; i++) await new Promise(resolve => setImmediate(resolve))
}

// pass lets time pass, in which the reader does something each half minute.
async function pass(seconds, reading = true) {
  for (let i = 0; i < seconds; i++) {
    if (reading && i % 30 === 0) page.dispatchEvent(new Event('pointermove'))
    mock.timers.tick(1000)
    if (i % 60 === 59) await settle()
  }
  await settle()
}

const types = () => told.map(({ type }) => type)

test('a session starts after active use, and is continued', async () => {
  await open()
  await pass(59)
  assert.equal(requests.length, 0)
  await pass(1)
  const [{ path, body, init }] = requests
  assert.equal(path, '/reading-sessions')
  assert.deepEqual(Object.keys(body).sort(), ['activeSeconds', 'deviceToken', 'eventId', 'licenseKey', 'occurredAt', 'offline', 'publicationToken', 'userToken'])
  assert.equal(body.activeSeconds, 60)
  assert.equal(body.occurredAt, '2030-05-01T12:01:00.000Z')
  assert.equal(body.offline, false)
  assert.equal(init.credentials, 'omit')
  assert.match(init.headers['Content-Type'], /^text\/plain/, 'needs no preflight')
  assert.match(body.eventId, /^[0-9a-f]{32}$/)
  assert.deepEqual(types(), ['started'])
  assert.equal(told[0].validUntil.getTime(), START + 60_000 + 24 * 3600_000)
  assert.equal(sessions.session.sessionId, 's1')
  await pass(299)
  assert.equal(requests.length, 1)
  await pass(1)
  assert.equal(requests[1].body.activeSeconds, 300)
  assert.equal(requests[1].body.deviceToken, body.deviceToken)
  assert.notEqual(requests[1].body.eventId, body.eventId)
  assert.deepEqual(types(), ['started', 'continued'])
})

test('a session that is over starts anew after the threshold', async () => {
  let until = 0
  answer = body => {
    const status = Date.parse(body.occurredAt) < until ? 'continued' : 'started'
    if (status === 'started') until = Date.now() + 120_000
    return { body: { status, sessionId: `s${until}`, validUntil: new Date(until).toISOString() } }
  }
  await open()
  await pass(180)
  assert.equal(sessions.session, null)
  assert.deepEqual(types(), ['started', 'continued'])
  await pass(58)
  assert.equal(requests.length, 2)
  await pass(1)
  assert.deepEqual(types(), ['started', 'continued', 'started'])
  assert.deepEqual(requests.map(({ body }) => body.activeSeconds), [60, 119, 60])
})

test('only time in which somebody reads counts', async () => {
  await open({ idleAfter: 120 })
  document.visibilityState = 'hidden'
  await pass(300)
  document.visibilityState = 'visible'
  page.focus = false
  await pass(300)
  page.focus = true
  page.dispatchEvent(new Event('keydown'))
  await pass(600, false) // of which two minutes count
  assert.deepEqual(requests.map(({ body }) => body.activeSeconds), [60])
  sessions.activity()
  await pass(300, false)
  await sessions.stop()
  const seconds = requests.reduce((sum, { body }) => sum + body.activeSeconds, 0)
  assert.ok(seconds >= 238 && seconds <= 240, `${seconds} s`)
})

test('a machine that slept did not read', async () => {
  await open()
  await pass(10)
  mock.timers.setTime(START + 8 * 3600_000)
  page.dispatchEvent(new Event('keydown'))
  await pass(1)
  await sessions.stop()
  assert.ok(requests[0].body.activeSeconds <= 13, `${requests[0].body.activeSeconds} s`)
})

test('a page that goes out of sight reports, in a request that outlives it', async () => {
  await open()
  await pass(20)
  document.visibilityState = 'hidden'
  document.dispatchEvent(new Event('visibilitychange'))
  await settle()
  assert.equal(requests[0].body.activeSeconds, 20)
  assert.equal(requests[0].init.keepalive, true)
})

test('what was collected offline is replayed in order, in batches', async () => {
  await open()
  await pass(60)
  const online = answer
  answer = unreachable
  await pass(600)
  assert.deepEqual(types(), ['started', 'offline'])
  assert.equal(told[1].offlineUntil.getTime(), START + 60_000 + 30 * 24 * 3600_000)
  const firstTry = requests[1].body
  answer = online
  page.dispatchEvent(new Event('online'))
  await settle()
  const { path, body } = requests.at(-1)
  assert.equal(path, '/reading-sessions:batch')
  assert.equal(body.licenseKey, 'rs_1')
  assert.deepEqual(body.events.map(e => e.offline), [false, true])
  assert.equal(body.events[0].eventId, firstTry.eventId, 'an event keeps its identifier')
  assert.deepEqual(body.events.map(e => e.occurredAt), ['2030-05-01T12:06:00.000Z', '2030-05-01T12:11:00.000Z'])
  assert.deepEqual(types(), ['started', 'offline', 'continued', 'continued'])
  const before = requests.length
  await pass(30)
  assert.equal(requests.length, before, 'what was sent is not kept')
})

test('a page that is opened offline says so', async () => {
  page.online = false
  answer = unreachable
  await open()
  await pass(60)
  assert.deepEqual(types(), ['offline'])
  assert.equal(told[0].offlineUntil, null)
  assert.equal(requests[0].body.offline, true)
})

test('a browser that is wrong about its connection does no harm', async () => {
  page.online = false
  await open()
  await pass(360)
  assert.deepEqual(types(), ['offline', 'started', 'continued'])
  assert.deepEqual(requests.map(({ body }) => body.offline), [true, false])
})

test('an answer that makes no sense is asked for again', async () => {
  answer = unreachable
  await open()
  await pass(130)
  answer = () => ({ body: {} })
  page.dispatchEvent(new Event('online'))
  await settle()
  answer = accepting()
  await pass(5, false)
  assert.deepEqual(types(), ['offline', 'started', 'continued'])
})

test('waits longer before each new try, and for as long as the server says', async () => {
  answer = unreachable
  await open()
  await pass(60)
  const at = []
  const count = requests.length
  for (let i = 0, seen = count; i < 150; i++) {
    await pass(1, false)
    if (requests.length > seen) at.push(i + 1)
    seen = requests.length
  }
  assert.deepEqual(at, [5, 15, 35, 75], 'after 5, 10, 20 and 40 s')
  answer = () => ({ status: 503, body: {}, headers: { 'Retry-After': '900' } })
  await pass(10)
  const now = requests.length
  await pass(880, false)
  assert.equal(requests.length, now)
})

test('an event that comes late is sent as another one, collected offline', async () => {
  answer = unreachable
  await open()
  await pass(60)
  const { eventId } = requests[0].body
  document.visibilityState = 'hidden'
  await pass(3600, false)
  answer = accepting()
  page.dispatchEvent(new Event('online'))
  await settle()
  const { body } = requests.at(-1)
  assert.equal(body.offline, true)
  assert.equal(body.occurredAt, '2030-05-01T12:01:00.000Z')
  assert.notEqual(body.eventId, eventId)
})

test('reading offline for too long is blocked, once, until it is reported', async () => {
  answer = body => ({ body: { status: 'started', sessionId: 's', validUntil: iso(3600), offlineUntil: iso(300) } })
  await open()
  await pass(60)
  const online = answer
  answer = unreachable
  page.dispatchEvent(new Event('offline'))
  await pass(299)
  assert.deepEqual(types(), ['started', 'offline'])
  await pass(60)
  assert.deepEqual(types(), ['started', 'offline', 'blocked'])
  assert.equal(told[2].reason, 'offline_too_long')
  answer = online
  page.dispatchEvent(new Event('online'))
  await settle()
  assert.deepEqual(types(), ['started', 'offline', 'blocked', 'started'])
})

test('blocked use is told with its reason', async () => {
  answer = () => ({ body: { status: 'blocked', reason: 'origin_unknown' } })
  await open()
  await pass(60)
  assert.deepEqual(told, [{ type: 'blocked', reason: 'origin_unknown' }])
  assert.equal(sessions.session, null)
})

test('a page that may not read the answers is blocked, and what it counted is gone', async () => {
  answer = barred
  await open()
  await pass(60)
  assert.deepEqual(told, [{ type: 'blocked', reason: 'not_allowed_here' }])
  assert.equal(requests.length, 2, 'made sure')
  assert.equal(requests[0].body.eventId, requests[1].body.eventId)
  answer = accepting() // somebody has approved of the site
  await pass(60)
  assert.deepEqual(types(), ['blocked', 'started'])
  assert.equal(requests.at(-1).body.activeSeconds, 60)
})

test('a connection that fails once is no reason to block', async () => {
  let first = true
  const accept = accepting()
  answer = body => {
    if (!first) return accept(body)
    first = false
    throw new TypeError('connection lost')
  }
  await open()
  await pass(60)
  assert.deepEqual(types(), ['started'])
})

test('use that is not enough is told to nobody', async () => {
  answer = () => ({ body: { status: 'pending_activity' } })
  await open()
  await pass(180)
  assert.equal(requests.length, 3)
  assert.deepEqual(told, [])
})

test('a key that is refused blocks, and what was counted is kept', async () => {
  answer = problem(403, 'https://example.org/problems/license-key-disabled')
  await open()
  await pass(60)
  assert.deepEqual(told, [{ type: 'blocked', reason: 'license-key-disabled' }])
  answer = accepting()
  page.focus = false
  await pass(600)
  assert.equal(requests.at(-1).body.activeSeconds, 60)
  assert.deepEqual(types(), ['blocked', 'started'])
})

test('one event that is refused does not hold the others up', async () => {
  answer = unreachable
  await open()
  await pass(130)
  const accept = accepting()
  const bad = requests[0].body.eventId
  answer = body => body.events || body.eventId === bad ? problem(422)() : accept(body)
  page.dispatchEvent(new Event('online'))
  await settle()
  assert.deepEqual(types(), ['offline', 'error', 'started'])
  assert.equal(told[1].eventId, bad)
  assert.equal(told[1].problem.status, 422)
})

test('an event that a batch refuses is told', async () => {
  answer = unreachable
  await open()
  await pass(130)
  answer = ({ events: [a, b] }) => ({ body: { results: [
    { eventId: a.eventId, status: 'started', sessionId: 's' }, { eventId: b.eventId, problem: { title: 'no' } },
  ] } })
  page.dispatchEvent(new Event('online'))
  await settle()
  assert.deepEqual(types(), ['offline', 'started', 'error'])
  assert.deepEqual(told[2].problem, { title: 'no' })
})

test('no more than a thousand events are kept', async () => {
  answer = unreachable
  await open({ threshold: 1 })
  page.online = false
  page.dispatchEvent(new Event('offline'))
  await pass(1100)
  answer = accepting()
  page.online = true
  const before = requests.length
  page.dispatchEvent(new Event('online'))
  await settle()
  await settle()
  const events = requests.slice(before).flatMap(({ body }) => body.events ?? [body])
  assert.equal(events.length, 1000)
  assert.ok(requests.slice(before).every(({ init }) => init.body.length < 64 << 10))
})

test('stopping reports the rest and nothing after', async () => {
  await open()
  await pass(7)
  await sessions.stop()
  assert.equal(requests[0].body.activeSeconds, 7)
  await pass(300)
  assert.equal(requests.length, 1)
  await sessions.stop()
})

test('options that are missing are named', () => {
  assert.throws(() => new ReadingSessions({ licenseKey: 'a', userToken: 'b' }), /publicationToken is missing/)
  assert.throws(() => new ReadingSessions(), /licenseKey is missing/)
})
