// Reading sessions for web readers: counts active reading time, reports it to
// lcp serve, and keeps it while there is no connection.
//
//   import { ReadingSessions } from 'https://lcp.example.com/reading-sessions.js'
//
//   const sessions = new ReadingSessions({ licenseKey, userToken, publicationToken })
//   sessions.addEventListener('blocked', e => closeBook(e.detail.reason))
//   sessions.start()
//
// Options: licenseKey, userToken and publicationToken are required. deviceToken and
// publicationSignature go along if they are given; without the former a random one
// is kept for this browser. server is the URL of lcp serve, if this module comes
// from elsewhere. threshold (seconds, 60) is how much active use makes a report as
// long as no session is open, and interval (300) while one is. idleAfter (300) is
// how long a reader who touches nothing counts as reading.
//
// Events, all with a detail: started and continued (sessionId, validUntil,
// offlineUntil, eventId, occurredAt), blocked (reason), offline (offlineUntil),
// error (eventId, problem) for a report that was refused for good. Dates are Date
// objects or null.

const TICK = 1000 // milliseconds
const BATCH = 50 // events in a request, which must stay under 64 KiB to outlive the page
const MAX_EVENTS = 1000 // kept while there is no connection; the oldest go first
const MIN_ON_HIDE = 5 // seconds worth a report when the page goes out of sight
const FIRST_PAUSE = 5_000 // before trying again, doubled each time
const LONGEST_PAUSE = 600_000
const TIMEOUT = 30_000 // of a request
const MAX_DELAY = 55 * 60_000 // after which a report is late: the server takes an hour, unless it is marked offline

const BARRED = Symbol('the page may not read the answer')

const SIGNS_OF_LIFE = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'scroll', 'touchstart']

export class ReadingSessions extends EventTarget {
  #options
  #buffer // promise of a Buffer
  #channel // to the other pages of this origin
  #running = null // AbortController of the listeners, and of what waits
  #timer
  #retry
  #ticked = 0 // when time was counted last
  #touched = 0 // when there was a sign of life
  #active = 0 // milliseconds not yet reported
  #state = {} // validUntil, offlineUntil, sessionId as the server told them last
  #failures = 0 // in a row
  #notBefore = 0 // when to try again
  #offline = false
  #expired = false // offline for too long
  #size = BATCH
  #sending = null

  constructor(options) {
    super()
    for (const name of ['licenseKey', 'userToken', 'publicationToken']) {
      if (typeof options?.[name] !== 'string' || !options[name]) throw new TypeError(`${name} is missing`)
    }
    this.#options = { server: new URL('.', import.meta.url).href, threshold: 60, interval: 300, idleAfter: 300, ...options }
  }

  // session is the one that is open, as far as is known here, or null.
  get session() {
    const { sessionId, validUntil, offlineUntil } = this.#state
    return Date.now() < validUntil ? { sessionId, validUntil: new Date(validUntil), offlineUntil: dateOf(offlineUntil) } : null
  }

  // start begins to count.
  start() {
    if (this.#running) return
    this.#running = new AbortController()
    const { signal } = this.#running
    const { licenseKey } = this.#options
    this.#buffer ??= Buffer.open(`reading-sessions ${licenseKey}`)
    if (globalThis.BroadcastChannel) {
      this.#channel = new BroadcastChannel(`reading-sessions ${licenseKey}`)
      this.#channel.onmessage = ({ data }) => this.#told(data.event, data.outcome)
    }
    this.#ticked = this.#touched = Date.now()
    this.#timer = setInterval(() => this.#tick(), TICK)
    for (const type of SIGNS_OF_LIFE) addEventListener(type, () => this.activity(), { signal, passive: true, capture: true })
    document.addEventListener('visibilitychange', () => this.#seen(), { signal })
    addEventListener('pagehide', () => this.#seen(), { signal })
    addEventListener('online', () => this.#again(), { signal })
    addEventListener('offline', () => this.#lost(), { signal })
    this.#recall()
  }

  // stop reports what was counted and stops counting. It resolves once the report
  // was sent or is kept for later.
  async stop() {
    if (!this.#running) return
    this.#tick()
    clearInterval(this.#timer)
    this.#running.abort()
    this.#running = null
    await this.#report(1, true)
    clearTimeout(this.#retry)
    this.#channel?.close()
  }

  // activity tells that the reader is there, where this page cannot see it: pages
  // turned in a frame of another origin, or a recording that plays.
  activity() {
    this.#touched = Date.now()
  }

  // tick counts the time since the last tick if somebody reads. A machine that was
  // asleep in between, or whose clock was set, counts as little of it.
  #tick() {
    const now = Date.now()
    const elapsed = Math.min(Math.max(now - this.#ticked, 0), 2 * TICK)
    this.#ticked = now
    if (document.visibilityState === 'visible' && document.hasFocus() && now - this.#touched < this.#options.idleAfter * 1000) {
      this.#active += elapsed
    }
    const { threshold, interval } = this.#options
    const left = this.#state.validUntil - now // of the session, before use counts for the next one
    if (left > 0 && left <= TICK || this.#active >= (left > 0 ? interval : threshold) * 1000) this.#report(1)
    if (this.#offline) this.#expire()
  }

  // seen is called when the page comes into sight or goes out of it.
  #seen() {
    this.#tick()
    if (document.visibilityState === 'hidden') this.#report(MIN_ON_HIDE, true)
    else this.activity()
  }

  // report keeps the use since the last report, if it is of so many seconds, and
  // sends what is kept. A last report may outlive the page.
  async #report(least, last = false) {
    const activeSeconds = Math.floor(this.#active / 1000)
    if (activeSeconds < Math.max(least, 1)) return
    this.#active -= activeSeconds * 1000
    const { licenseKey, userToken, publicationToken, deviceToken, publicationSignature } = this.#options
    const offline = this.#offline
    const occurredAt = new Date().toISOString()
    const buffer = await this.#buffer
    await buffer.add({
      eventId: randomToken(), licenseKey, userToken, publicationToken, deviceToken: deviceToken ?? await buffer.device(),
      publicationSignature, occurredAt, activeSeconds, offline,
    })
    await this.#send(last)
  }

  // recall takes up what an earlier page left.
  async #recall() {
    const buffer = await this.#buffer
    const state = await buffer.get(this.#stateKey)
    if (state && !(this.#state.validUntil > state.validUntil)) this.#state = state
    if (navigator.onLine === false) this.#lost()
    await this.#send()
  }

  get #stateKey() {
    return `session ${this.#options.userToken} ${this.#options.publicationToken}`
  }

  // send sends what is kept, unless it is being sent, or it is too early to try
  // again.
  #send(last = false) {
    this.#sending ??= exclusively(`reading-sessions ${this.#options.licenseKey}`, () => this.#sendAll(last))
      .catch(() => {}) // storage that fails: what is kept stays there for later
      .finally(() => { this.#sending = null })
    return this.#sending
  }

  async #sendAll(last) {
    const buffer = await this.#buffer
    while (Date.now() >= this.#notBefore) {
      const kept = await buffer.first(this.#size)
      if (kept.length === 0) return
      const late = kept.filter(({ event }) => !event.offline && Date.now() - Date.parse(event.occurredAt) > MAX_DELAY)
      for (const { key, event } of late) {
        // An event is never changed: the server may have got it as it is.
        await buffer.replace(key, { ...event, eventId: randomToken(), offline: true })
      }
      if (late.length > 0) continue
      if (!await this.#post(kept, buffer, last)) return
    }
  }

  // post sends some events and reports whether to go on with the next ones.
  async #post(kept, buffer, keepalive) {
    const events = kept.map(({ event }) => event)
    const single = events.length === 1
    const reply = await this.#ask(events, keepalive)
    if (reply === BARRED) { // the server got them, and whoever reads this may not know what it said
      this.#offline = this.#expired = false
      await buffer.remove(kept.map(({ key }) => key))
      this.#emit('blocked', { reason: 'not_allowed_here' })
      return true
    }
    if (!reply) {
      this.#pause()
      this.#lost()
      return false
    }
    const { response, answer, outcomes } = reply
    if (response.ok) {
      this.#failures = 0
      this.#offline = this.#expired = false
      await buffer.remove(kept.map(({ key }) => key))
      for (const [i, event] of events.entries()) await this.#learn(event, outcomes[i] ?? {}, buffer)
      return true
    }
    if ([400, 409, 413, 422].includes(response.status)) {
      if (!single) {
        this.#size = 1 // to find out which of them it is
        return true
      }
      await buffer.remove([kept[0].key])
      this.#emit('error', { eventId: events[0].eventId, problem: answer })
      return true
    }
    if ([401, 403, 404].includes(response.status)) { // of the key, not of these events
      this.#failures = Infinity
      this.#emit('blocked', { reason: reasonOf(answer) })
    }
    this.#pause(Number(response.headers.get('Retry-After')))
    return false
  }

  // ask makes a request and returns its answer, BARRED, or nothing if the server
  // cannot be reached.
  async #ask(events, keepalive) {
    for (const second of [false, true]) {
      let response
      try {
        response = await this.#fetch(events, keepalive)
      } catch (error) {
        // A browser tells pages neither that there is no connection nor that they
        // may not read the answer. What anybody may load tells these apart.
        if (!(error instanceof TypeError) || !await this.#reachable()) return null
        if (second) return BARRED
        continue
      }
      try {
        const answer = await response.json()
        return { response, answer, outcomes: response.ok && (events.length === 1 ? [answer] : outcomesOf(answer, events)) }
      } catch {
        return null
      }
    }
  }

  // fetch sends events. As plain text they need no preflight, so that the server
  // hears of sites that it does not know.
  #fetch(events, keepalive) {
    const single = events.length === 1
    return fetch(new URL(single ? './reading-sessions' : './reading-sessions:batch', this.#options.server), {
      method: 'POST', mode: 'cors', credentials: 'omit', referrerPolicy: 'no-referrer', keepalive,
      headers: { 'Content-Type': 'text/plain;charset=UTF-8' },
      body: JSON.stringify(single ? events[0] : batchOf(events)),
      signal: AbortSignal.timeout(TIMEOUT),
    })
  }

  #reachable() {
    return fetch(new URL('./reading-sessions.js', this.#options.server), {
      method: 'HEAD', mode: 'cors', credentials: 'omit', cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT),
    }).then(response => response.ok, () => false)
  }

  // learn takes in what became of an event, and tells the other pages.
  async #learn(event, outcome, buffer) {
    this.#channel?.postMessage({ event, outcome })
    this.#told(event, outcome)
    if (outcome.validUntil || outcome.offlineUntil) {
      const { userToken, publicationToken } = event
      await buffer.set(`session ${userToken} ${publicationToken}`, stateOf(outcome))
    }
  }

  // told is called with what became of an event of this page or of another one.
  #told(event, outcome) {
    if (event.userToken !== this.#options.userToken || event.publicationToken !== this.#options.publicationToken) return
    const { eventId, occurredAt } = event
    const told = stateOf(outcome)
    if (!(this.#state.validUntil > told.validUntil)) this.#state = { ...this.#state, ...told }
    switch (outcome.status) {
      case 'started':
      case 'continued':
        this.#emit(outcome.status, {
          sessionId: outcome.sessionId, validUntil: dateOf(told.validUntil), offlineUntil: dateOf(told.offlineUntil),
          eventId, occurredAt: new Date(occurredAt),
        })
        break
      case 'blocked':
        this.#emit('blocked', { reason: outcome.reason })
        break
      case 'pending_activity':
        break
      default:
        this.#emit('error', { eventId, problem: outcome.problem ?? outcome })
    }
  }

  // pause puts off the next try: each time for longer, and for each page another
  // time, so that they do not all come at once when the server is back.
  #pause(seconds) {
    const longest = Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE)
    const pause = Math.max(longest * (0.5 + Math.random() / 2), Math.min(seconds * 1000 || 0, 2 * LONGEST_PAUSE))
    this.#failures++
    this.#notBefore = Date.now() + pause
    clearTimeout(this.#retry)
    if (this.#running) this.#retry = setTimeout(() => this.#send(), pause)
  }

  // again tries at once.
  #again() {
    this.#failures = 0
    this.#notBefore = 0
    this.#send()
  }

  // lost is called when there is no connection.
  #lost() {
    if (this.#offline) return
    this.#offline = true
    this.#emit('offline', { offlineUntil: dateOf(this.#mayGoOn) })
    this.#expire()
  }

  // mayGoOn is until when reading may go on without a connection; undefined if
  // nobody has said.
  get #mayGoOn() {
    return this.#state.offlineUntil ?? this.#state.validUntil
  }

  #expire() {
    if (this.#expired || !(Date.now() >= this.#mayGoOn)) return
    this.#expired = true
    this.#emit('blocked', { reason: 'offline_too_long' })
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }))
  }
}

// A Buffer keeps events and a few values: in IndexedDB, which outlives the page,
// or for as long as the page lives where a browser does not allow that.
class Buffer {
  #db
  #events = new Map() // without a database
  #values = new Map()
  #next = 1

  static async open(name) {
    const buffer = new Buffer()
    try {
      const request = indexedDB.open(name, 1)
      request.onupgradeneeded = () => {
        request.result.createObjectStore('events', { autoIncrement: true })
        request.result.createObjectStore('values')
      }
      buffer.#db = await done(request)
    } catch {
      // Private windows, and frames of other sites, may have none.
    }
    return buffer
  }

  #store(name, mode) {
    return this.#db.transaction(name, mode).objectStore(name)
  }

  async add(event) {
    if (!this.#db) {
      this.#events.set(this.#next++, event)
      if (this.#events.size > MAX_EVENTS) this.#events.delete(this.#events.keys().next().value)
      return
    }
    const store = this.#store('events', 'readwrite')
    store.add(event)
    if (await done(store.count()) <= MAX_EVENTS) return
    const [oldest] = await done(store.getAllKeys(null, 1))
    await done(store.delete(oldest))
  }

  // first returns the oldest events with their keys.
  async first(count) {
    if (!this.#db) return [...this.#events].slice(0, count).map(([key, event]) => ({ key, event }))
    const store = this.#store('events', 'readonly')
    const [keys, events] = await Promise.all([done(store.getAllKeys(null, count)), done(store.getAll(null, count))])
    return keys.map((key, i) => ({ key, event: events[i] }))
  }

  async replace(key, event) {
    if (this.#db) await done(this.#store('events', 'readwrite').put(event, key))
    else if (this.#events.has(key)) this.#events.set(key, event)
  }

  async remove(keys) {
    if (!this.#db) return keys.forEach(key => this.#events.delete(key))
    const store = this.#store('events', 'readwrite')
    await Promise.all(keys.map(key => done(store.delete(key))))
  }

  async get(key) {
    return this.#db ? done(this.#store('values', 'readonly').get(key)) : this.#values.get(key)
  }

  async set(key, value) {
    if (this.#db) await done(this.#store('values', 'readwrite').put(value, key))
    else this.#values.set(key, value)
  }

  // device returns the random token of this browser.
  async device() {
    let token = await this.get('device')
    if (!token) await this.set('device', token = randomToken())
    return token
  }
}

// done makes a promise of a request to IndexedDB.
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = request.onblocked = () => reject(request.error ?? new Error('blocked'))
  })
}

// exclusively runs work while no other page of the origin does, where the browser
// can tell. Where it cannot, two pages may send an event both: it counts once.
function exclusively(name, work) {
  return globalThis.navigator?.locks ? navigator.locks.request(name, work) : work()
}

// randomToken returns 128 random bits. crypto.randomUUID is not there on plain
// http.
function randomToken() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, '0')).join('')
}

// stateOf takes from an outcome until when things are valid, in milliseconds.
function stateOf({ sessionId, validUntil, offlineUntil }) {
  const state = {}
  if (sessionId) state.sessionId = sessionId
  if (validUntil) state.validUntil = Date.parse(validUntil)
  if (offlineUntil) state.offlineUntil = Date.parse(offlineUntil)
  return state
}

function dateOf(milliseconds) {
  return milliseconds === undefined ? null : new Date(milliseconds)
}

// batchOf is the body of a request with several events, all of one license key.
function batchOf(events) {
  const [{ licenseKey }] = events
  return { licenseKey, events: events.map(({ licenseKey, ...event }) => event) }
}

// outcomesOf returns what became of the events of a batch, in their order.
function outcomesOf({ results }, events) {
  const byID = new Map(results.map(result => [result.eventId, result]))
  return events.map(({ eventId }, i) => byID.get(eventId) ?? results[i])
}

// reasonOf names a problem (RFC 9457) in one word, which is the end of its type.
function reasonOf({ type = '', title = '' }) {
  return type.split(/[/#:]/).pop() || title
}
