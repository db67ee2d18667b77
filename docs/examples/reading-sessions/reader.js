// A web reader that is billed by use. Put your license server in place of
// https://lcp.example.com, here and in index.html, and your license key below.

import { ReadingSessions } from 'https://lcp.example.com/reading-sessions.js'

// Whose use it is, and of what, your pages know. Neither should be a name that
// tells others who it is.
const page = new URLSearchParams(location.search)
const sessions = new ReadingSessions({
  licenseKey: page.get('key') ?? 'YOUR-LICENSE-KEY',
  userToken: page.get('user') ?? 'user-4711',
  publicationToken: page.get('publication') ?? 'moby-dick',
  threshold: Number(page.get('threshold') ?? 60),
  interval: Number(page.get('interval') ?? 300),
})

const says = {
  started: ({ validUntil }) => `A session has started. It lasts until ${validUntil?.toLocaleString()}.`,
  continued: ({ validUntil }) => `The session continues. It lasts until ${validUntil?.toLocaleString()}.`,
  offline: ({ offlineUntil }) => offlineUntil
    ? `There is no connection. You can go on until ${offlineUntil.toLocaleString()}.`
    : 'There is no connection.',
  blocked: ({ reason }) => `You cannot read on here: ${reason}.`,
  error: ({ problem }) => `A report was refused: ${problem.detail ?? problem.title ?? 'nobody knows why'}.`,
}

for (const [type, say] of Object.entries(says)) {
  sessions.addEventListener(type, ({ detail }) => {
    document.getElementById('state').textContent = say(detail)
    const item = document.createElement('li')
    item.dataset.type = type
    item.textContent = `${type} ${JSON.stringify(detail)}`
    document.getElementById('events').append(item)
    document.getElementById('book').hidden = type === 'blocked'
  })
}

sessions.start()
