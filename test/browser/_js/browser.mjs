// What the tests of pages have in common: Chromium, and what is wrong with a page.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')

// launch starts Chromium. Whatever it asks for goes to the proxy, addresses of
// this machine included, so that the proxy sees all that a page loads.
export function launch({ chromium: executablePath, proxy }) {
  return chromium.launch({
    executablePath,
    args: process.getuid() === 0 ? ['--no-sandbox'] : [],
    proxy: proxy && { server: proxy, bypass: '<-loopback>' },
  })
}

// watch collects what the browser complains of on a page.
export function watch(page) {
  const complaints = []
  page.on('console', message => complaints.push(message.text()))
  page.on('pageerror', error => complaints.push(String(error)))
  page.on('requestfailed', request => complaints.push(`${request.url()}: ${request.failure().errorText}`))
  return complaints
}

// barriers returns what keeps people from using a page, as axe-core sees it: all
// that it knows of WCAG 2.2 AA, and its recommendations.
export async function barriers(page) {
  await page.evaluate(axe)
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { preload: false }))
  if (passes.length < 10) throw new Error(`axe-core passed only ${passes.length} rules: it did not see the page`)
  return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(n => n.html).join(' ')}`.slice(0, 500))
}

// spill returns the elements that are wider than the page.
export function spill(page) {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth
    const all = [...document.querySelectorAll('body *')]
    return all.filter(e => e.getBoundingClientRect().right > width + 1 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)
      .map(e => `${e.tagName}: ${e.textContent.trim().slice(0, 60)}`)
  })
}
