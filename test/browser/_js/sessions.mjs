// Reads on two pages of two origins, of which the license server knows one, and
// prints what the pages were told as a line of JSON. The argument is a file of
// JSON: {chromium, known, unknown, shots}, where known and unknown are URLs of the
// demo page.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { barriers, launch, watch } from './browser.mjs'

const given = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const browser = await launch(given)
const context = await browser.newContext()

// open opens a page that is read from then on.
async function open(url) {
  const page = await context.newPage()
  const complaints = watch(page)
  await page.goto(url)
  return {
    page,
    complaints,
    told: () => page.locator('#events li').evaluateAll(all => all.map(li => li.dataset.type)),
    // until waits for the page to be told something so many times.
    until: async (type, times = 1) => {
      await page.locator(`#events li[data-type=${type}]`).nth(times - 1).waitFor({ timeout: 60_000, state: 'attached' })
    },
    read: () => page.mouse.move(100 + Math.random() * 200, 100),
  }
}

const say = value => console.log(JSON.stringify(value))

const known = await open(given.known)
await known.until('started')
await known.page.screenshot({ path: join(given.shots, 'sessions-known.png'), fullPage: true })
say({ step: 'known origin', told: await known.told(), complaints: known.complaints, barriers: await barriers(known.page) })

const unknown = await open(given.unknown)
await unknown.until(given.expect)
await unknown.page.screenshot({ path: join(given.shots, 'sessions-unknown.png'), fullPage: true })
say({ step: 'unknown origin', told: await unknown.told(), state: await unknown.page.innerText('#state') })
await unknown.page.close()

// A tunnel: the page goes on, is closed, and another one finds what it left.
await context.setOffline(true)
await known.page.bringToFront()
await known.read()
await known.until('offline')
await known.page.waitForTimeout(3000)
say({ step: 'offline', told: await known.told(), state: await known.page.innerText('#state') })
await known.page.close()
await context.setOffline(false)
const again = await open(given.known)
await again.until('continued')
await again.page.waitForTimeout(1000)
say({ step: 'online again', told: await again.told(), complaints: again.complaints })

await browser.close()
