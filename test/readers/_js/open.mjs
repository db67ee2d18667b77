// Opens publications that lcp protected with the code of a reading system, the
// r2-*-js packages that Thorium Reader is built on, and compares every resource
// with the original, which another ZIP library reads.
//
//   node open.mjs cases.json
//
// A case names a protected publication without a license in it (`protected`)
// and with one (`embedded`), the license, its passphrase, the original, and the
// original's `kind`: "package" for a ZIP, or "pdf". Each is opened both ways.
// Nothing is skipped: what is not compared is an error.
//
// The packages decrypt by themselves where the library of EDRLab for production
// licenses is not there (lcp.node), and then look at no certificate: those of
// lcp are checked by other tests.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { extname } from "node:path";
import { DOMParser } from "@xmldom/xmldom";
import yauzl from "yauzl";

const require = createRequire(import.meta.url);
const source = "dist/es8-es2017/src";
require("reflect-metadata");
const { initGlobalConverters_GENERIC, initGlobalConverters_SHARED } = require(`r2-shared-js/${source}/init-globals`);
const { PublicationParsePromise } = require(`r2-shared-js/${source}/parser/publication-parser`);
const { DivinaParsePromise, Divinais } = require(`r2-shared-js/${source}/parser/divina`);
const { Encryption } = require(`r2-shared-js/${source}/parser/epub/encryption`);
const { Link } = require(`r2-shared-js/${source}/models/publication-link`);
const { Properties } = require(`r2-shared-js/${source}/models/metadata-properties`);
const { Transformers } = require(`r2-shared-js/${source}/transform/transformer`);
const { Encrypted } = require(`r2-lcp-js/${source}/models/metadata-encrypted`);
const { LCP } = require(`r2-lcp-js/${source}/parser/epub/lcp`);
const { TaJsonDeserialize } = require(`r2-lcp-js/${source}/serializable`);
const { XML } = require(`r2-utils-js/${source}/_utils/xml-js-mapper`);
const { streamToBufferPromise } = require(`r2-utils-js/${source}/_utils/stream/BufferUtils`);

initGlobalConverters_GENERIC();
initGlobalConverters_SHARED();

const lcpAlgorithm = "http://www.w3.org/2001/04/xmlenc#aes256-cbc";

// Entries that protecting writes anew, so that they are not to be compared.
const declarations = new Set(["META-INF/encryption.xml", "manifest.json", "publication.json"]);

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

class Mismatch extends Error {}

function check(condition, message) {
  if (!condition) {
    throw new Mismatch(message);
  }
}

// originals returns the bytes of every entry of the original, by name.
async function originals(test) {
  if (test.kind === "pdf") {
    return new Map([["publication.pdf", await readFile(test.original)]]);
  }
  const found = new Map();
  const zip = await yauzl.openPromise(test.original);
  for await (const entry of zip.eachEntry()) {
    if (entry.fileName.endsWith("/")) {
      continue;
    }
    found.set(entry.fileName, await streamToBufferPromise(await zip.openReadStreamPromise(entry)));
  }
  return found;
}

// parse opens a publication as the reading system does. r2-shared-js knows a
// protected Divina by the extension .lcpdivina only and refuses .lcpdi, which
// LCP gives it, so that its parser has to be called by name.
function parse(file) {
  if (extname(file) === ".lcpdi") {
    return DivinaParsePromise(file, Divinais.LocalPacked, "divina");
  }
  return PublicationParsePromise(file);
}

async function parseLicense(file) {
  const text = await readFile(file, "utf8");
  const license = TaJsonDeserialize(JSON.parse(text), LCP);
  license.JsonSource = text;
  license.init();
  return license;
}

// links returns every local link of a publication by the entry it leads to. The
// parser of EPUB decodes hrefs, those of the others leave them as they are.
function links(publication) {
  const decoded = publication.findFromInternal("type").Value === "epub";
  const found = new Map();
  const walk = (list) => {
    for (const link of list ?? []) {
      if (decoded) {
        found.set(link.Href, link);
      } else if (!link.Templated && !/^[a-z][a-z0-9+.-]*:/i.test(link.Href)) {
        found.set(decodeURIComponent(link.Href.replace(/[?#].*$/, "")), link);
      }
      walk(link.Alternate);
      walk(link.Children);
    }
  };
  walk(publication.Spine);
  walk(publication.Resources);
  walk(publication.Links);
  return found;
}

// unlistedLinks returns a link for every entry that encryption.xml declares.
// The reading system makes them of what the package document lists only, and
// never reads an entry that merely a <link> or another resource refers to.
async function unlistedLinks(publication) {
  const found = new Map();
  const name = "META-INF/encryption.xml";
  if (publication.findFromInternal("type").Value !== "epub" || !zipOf(publication).hasEntry(name)) {
    return found;
  }
  const text = (await readRaw(publication, name)).toString("utf8");
  const document = new DOMParser().parseFromString(text, "application/xml");
  for (const data of XML.deserialize(document, Encryption).EncryptedData) {
    const link = new Link();
    link.setHrefDecoded(decodeURIComponent(data.CipherData.CipherReference.URI));
    link.Properties = new Properties();
    link.Properties.Encrypted = new Encrypted();
    link.Properties.Encrypted.Algorithm = data.EncryptionMethod.Algorithm;
    for (const { Compression } of data.EncryptionProperties ?? []) {
      link.Properties.Encrypted.OriginalLength = Number(Compression.OriginalLength);
      link.Properties.Encrypted.Compression = Compression.Method === "8" ? "deflate" : "none";
    }
    found.set(link.Href, link);
  }
  return found;
}

// unlock tries the wrong passphrase, then the right one.
async function unlock(license, passphrase) {
  const refused = await license.tryUserKeys([sha256(`not ${passphrase}`)]).then(() => false, () => true);
  check(refused, "a wrong passphrase opens the license");
  check(!license.isReady(), "the license is open after a wrong passphrase");
  await license.tryUserKeys([sha256(passphrase)]).catch((err) => {
    throw new Mismatch(`the passphrase does not open the license: ${err}`);
  });
  check(license.isReady(), "the license is not open after the right passphrase");
}

// zipOf returns the open ZIP of a publication. It is left open until the program
// ends: streams that the transformers leave halfway, once they know the size of
// a resource or have the range they want, go on reading from the descriptor,
// and once that belongs to another file they fail with "Invalid CRC".
function zipOf(publication) {
  return publication.findFromInternal("zip").Value;
}

// read returns an entry as the reading system serves it: through its ZIP
// library and all of its transformers. With a range, it gives those bytes only.
async function read(publication, name, link, range) {
  const stored = await zipOf(publication).entryStreamPromise(name);
  const [begin, end] = range ?? [0, -1];
  const served = link
    ? await Transformers.tryStream(publication, link, undefined, stored, Boolean(range), begin, end, undefined)
    : stored;
  return { data: await streamToBufferPromise(served.stream), length: served.length };
}

async function readRaw(publication, name) {
  return (await read(publication, name, undefined)).data;
}

// compareDecrypted compares a resource that LCP encrypts, whole and in part.
async function compareDecrypted(publication, name, link, want) {
  const raw = await readRaw(publication, name);
  check(sha256(raw) !== sha256(want), `${name}: declared as encrypted, but in clear`);
  check(raw.length % 16 === 0 && raw.length >= 32, `${name}: ${raw.length} bytes are no ciphertext`);
  const got = await read(publication, name, link);
  check(sha256(got.data) === sha256(want), `${name}: decrypts to ${got.data.length} bytes that differ from the original ${want.length}`);
  check(got.length === want.length, `${name}: the reading system believes in ${got.length} bytes, not ${want.length}`);
  const { OriginalLength } = link.Properties.Encrypted;
  check(OriginalLength === want.length, `${name}: original length is ${OriginalLength}, not ${want.length}`);
  if (want.length >= 48) {
    const begin = Math.floor(want.length / 3);
    const end = Math.floor((2 * want.length) / 3);
    const part = await read(publication, name, link, [begin, end]);
    check(part.data.equals(want.subarray(begin, end + 1)), `${name}: bytes ${begin} to ${end} differ`);
  }
}

// compareObfuscated compares an obfuscated font: the entry has to be as it was,
// and has to lose its obfuscation as that of the original does.
async function compareObfuscated(publication, original, name, link, want) {
  check((await readRaw(publication, name)).equals(want), `${name}: the obfuscated font changed`);
  const got = await read(publication, name, link);
  const clear = await read(original, name, links(original).get(name));
  check(got.data.equals(clear.data), `${name}: the font without obfuscation differs`);
  check(!clear.data.equals(want), `${name}: the reading system sees no obfuscation`);
}

// compare returns how many entries were equal, by what was done to them.
async function compare(test, publication) {
  const count = { decrypted: 0, deflated: 0, unlisted: 0, obfuscated: 0, clear: 0 };
  const listed = links(publication);
  const byName = new Map([...await unlistedLinks(publication), ...listed]);
  const unopened = test.kind === "package" && extname(test.original) === ".epub" ? await parse(test.original) : undefined;
  for (const [name, want] of await originals(test)) {
    const encrypted = byName.get(name)?.Properties?.Encrypted;
    if (declarations.has(name)) {
      continue;
    } else if (encrypted?.Algorithm === lcpAlgorithm) {
      await compareDecrypted(publication, name, byName.get(name), want);
      count.decrypted++;
      count.deflated += encrypted.Compression === "deflate" ? 1 : 0;
      count.unlisted += listed.has(name) ? 0 : 1;
    } else if (encrypted) {
      await compareObfuscated(publication, unopened, name, byName.get(name), want);
      count.obfuscated++;
    } else {
      const got = await readRaw(publication, name);
      check(got.equals(want), `${name}: not declared as encrypted, and differs from the original`);
      count.clear++;
    }
  }
  check(count.decrypted > 0, "nothing was encrypted");
  const covers = [...(publication.Spine ?? []), ...(publication.Resources ?? []), ...(publication.Links ?? [])]
    .filter((link) => link.HasRel("cover"))
    .map((link) => link.Href);
  for (const link of publication.Spine ?? []) {
    check(link.Properties?.Encrypted || covers.includes(link.Href), `${link.Href}: in the reading order, and not encrypted`);
  }
  return count;
}

async function openOne(test, file, license) {
  const publication = await parse(file);
  if (license) {
    check(!publication.LCP, "there is a license where none was embedded");
    publication.LCP = license;
  }
  check(publication.LCP, "the reading system does not see the embedded license");
  await unlock(publication.LCP, test.passphrase);
  return compare(test, publication);
}

async function main() {
  const cases = JSON.parse(await readFile(process.argv[2], "utf8"));
  let failures = 0;
  for (const test of cases) {
    for (const way of ["embedded", "separate"]) {
      try {
        const count = way === "embedded"
          ? await openOne(test, test.embedded)
          : await openOne(test, test.protected, await parseLicense(test.license));
        console.log(`ok    ${test.name}, license ${way}: ${count.decrypted} decrypted (${count.deflated} inflated, ${count.unlisted} not listed), ` +
          `${count.obfuscated} obfuscated, ${count.clear} clear`);
      } catch (err) {
        failures++;
        console.log(`FAIL  ${test.name}, license ${way}: ${err instanceof Mismatch ? err.message : err?.stack ?? err}`);
      }
    }
  }
  console.log(`${cases.length} publications, ${failures} failures`);
  process.exitCode = failures > 0 || cases.length === 0 ? 1 : 0;
}

await main();
