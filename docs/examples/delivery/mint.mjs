// Prints a token for a loan of 14 days.
//
//   DELIVERY_KID=… DELIVERY_SECRET=… node mint.mjs ASSET USER
import { createHash, createHmac, randomUUID } from 'node:crypto'

const [asset, user] = process.argv.slice(2)
if (!user) throw new Error('usage: node mint.mjs ASSET USER')
const secret = Buffer.from(process.env.DELIVERY_SECRET, 'hex') // as lcp secrets add shows it
const header = { alg: 'HS256', typ: 'JWT', kid: process.env.DELIVERY_KID }
const claims = {
  jti: randomUUID(), // good for one license
  iat: Math.floor(Date.now() / 1000),
  optData: { userId: user },
  crt: {
    assetId: asset,
    profile: { type: 'rental', relativeExpiration: 'P14D' },
    lcp: { print: 10, copy: 10000 },
    passHash: createHash('sha256').update("the user's passphrase").digest('hex'),
    textHint: 'The passphrase of your account',
  },
}
const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const text = `${part(header)}.${part(claims)}`
console.log(`${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`)
