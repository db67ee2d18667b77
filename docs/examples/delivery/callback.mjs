// Answers whether a license may be delivered.
//
//   DELIVERY_KID=… DELIVERY_SECRET=… PORT=8000 node callback.mjs
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

// Two of them while one follows the other.
const secrets = new Map([[process.env.DELIVERY_KID, Buffer.from(process.env.DELIVERY_SECRET, 'hex')]])

// Checks that the license server sent the body, in the last five minutes.
function genuine(headers, body) {
  const secret = secrets.get(headers['x-lcp-key-id'])
  const timestamp = headers['x-lcp-timestamp'] ?? ''
  if (!secret || !/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false
  const wanted = createHmac('sha256', secret).update(`v1:${timestamp}:`).update(body).digest()
  const given = Buffer.from((headers['x-lcp-signature'] ?? '').replace(/^v1=/, ''), 'hex')
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

function decide(question) {
  if (question.user !== 'u1') { // look the loan up in your database
    return [403, { message: 'Borrow this book first.', redirectUrl: 'https://shop.example.org/books' }]
  }
  return [200, {
    profile: { type: 'rental', relativeExpiration: 'P14D' },
    user: { name: 'Zoe', encrypted: ['name'] },
    passHash: createHash('sha256').update("the user's passphrase").digest('hex'),
    textHint: 'The passphrase of your account',
  }]
}

const server = createServer(async (request, response) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const body = Buffer.concat(chunks)
  const [status, answer] = genuine(request.headers, body) ? decide(JSON.parse(body)) : [401, {}]
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer))
})
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening on', server.address().port))
