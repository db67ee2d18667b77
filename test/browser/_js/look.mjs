// Looks at a page in several languages, light and dark, wide and narrow, and
// prints what is wrong with each view as a line of JSON. The argument is a file
// of JSON: {chromium, proxy, url, languages, shots}, the last a folder for
// pictures.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { barriers, launch, spill, watch } from './browser.mjs'

const given = JSON.parse(readFileSync(process.argv[2], 'utf8'))

// As WCAG 2.2 has it: 320 pixels wide without scrolling sideways (1.4.10), and
// letters of twice the size (1.4.4).
const views = [
  { name: 'wide', viewport: { width: 1000, height: 900 }, colorScheme: 'light', letters: '200%' },
  { name: 'narrow', viewport: { width: 320, height: 640 }, colorScheme: 'dark' },
]

const browser = await launch(given)
for (const language of given.languages) {
  for (const { name, letters, ...options } of views) {
    const context = await browser.newContext({ ...options, locale: language })
    const page = await context.newPage()
    const complaints = watch(page)
    const response = await page.goto(given.url)
    if (letters) await page.evaluate(size => { document.documentElement.style.fontSize = size }, letters)
    const shot = join(given.shots, `${language}-${name}.png`)
    await page.screenshot({ path: shot, fullPage: true })
    // The first key press must lead somewhere, visibly, if there are links.
    await page.keyboard.press('Tab')
    const focus = await page.evaluate(() => {
      const e = document.activeElement
      return e === document.body ? '' : getComputedStyle(e).outlineStyle
    })
    console.log(JSON.stringify({
      language, view: name, shot, status: response.status(),
      declared: await page.getAttribute('html', 'lang'),
      text: await page.innerText('body'),
      scripts: await page.locator('script').count(),
      cookies: (await context.cookies()).length,
      focus, complaints,
      spill: await spill(page),
      barriers: await barriers(page),
    }))
    await context.close()
  }
}
await browser.close()
