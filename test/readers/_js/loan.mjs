// Borrows a book with the code of a reading system, r2-lcp-js, as Thorium Reader
// does: reads the status document that a license links to, registers, renews,
// fetches the license again when it was updated, and returns it.
//
//   node loan.mjs case.json
//
// The case names the file of a license (`license`), a date within what the
// provider allows (`renewTo`) and one beyond (`beyond`). Each step prints a line;
// the first one that goes wrong ends it.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const source = "r2-lcp-js/dist/es8-es2017/src";
require("reflect-metadata");
const { initGlobalConverters_GENERIC } = require("r2-shared-js/dist/es8-es2017/src/init-globals");
const { LCP } = require(`${source}/parser/epub/lcp`);
const { TaJsonDeserialize } = require(`${source}/serializable`);
const { launchStatusDocumentProcessing } = require(`${source}/lsd/status-document-processing`);
const { lsdRegister_ } = require(`${source}/lsd/register`);
const { lsdRenew_ } = require(`${source}/lsd/renew`);
const { lsdReturn_ } = require(`${source}/lsd/return`);

initGlobalConverters_GENERIC();

class Mismatch extends Error {}

function same(got, want, what) {
  if (got !== want) {
    throw new Mismatch(`${what} is ${got}, want ${want}`);
  }
}

// device remembers which licenses it is registered with.
function device(id, name) {
  const known = new Map();
  return {
    getDeviceID: async () => id,
    getDeviceNAME: async () => name,
    checkDeviceID: async (license) => known.get(license),
    recordDeviceID: async (license) => void known.set(license, id),
  };
}

const parse = (text) => TaJsonDeserialize(JSON.parse(text), LCP);

// look does what a reading system does when a book is opened. It returns the
// license anew if that was updated.
function look(lcp, by) {
  return new Promise((resolve, reject) => {
    launchStatusDocumentProcessing(lcp, by, (text) => resolve(text ? parse(text) : undefined)).catch(reject);
  });
}

// refused waits for a request to fail.
async function refused(request, what) {
  try {
    await request;
  } catch (problem) {
    return problem;
  }
  throw new Mismatch(`${what} was not refused`);
}

const events = (lcp) => (lcp.LSD.Events ?? []).map((e) => e.TypeEnum ?? e.Type).join(" ");

async function borrow(test) {
  const phone = device("phone-1", "Zoë's phone & more");
  const tablet = device("tablet-2", "Tablet");
  let lcp = parse(await readFile(test.license, "utf8"));

  same(await look(lcp, phone), undefined, "a license in place of the new one");
  same(lcp.LSD?.Status, "active", "status after registering");
  same(events(lcp), "register", "events after registering");
  same(lcp.LSD.Events[0].Name, "Zoë's phone & more", "name of the device");
  console.log("registered");

  await look(lcp, phone);
  same(events(lcp), "register", "events after opening the book again");
  lcp.LSD = await lsdRegister_(lcp.LSD, tablet);
  same(events(lcp), "register register", "events after another device");
  console.log("registered once for each device");

  const beyond = await refused(lsdRenew_(new Date(test.beyond), lcp.LSD, phone), "renewing beyond the maximum");
  same(beyond.type, "http://readium.org/license-status-document/error/renew/date", "type of the problem");
  same(beyond.httpStatusCode, 403, "status code of the problem");
  const stranger = await refused(lsdRenew_(new Date(test.renewTo), lcp.LSD, device("x", "x")), "renewing by a stranger");
  same(stranger.type, "http://readium.org/license-status-document/error/renew", "type of the problem");
  lcp.LSD = await lsdRenew_(new Date(test.renewTo), lcp.LSD, phone);
  same(lcp.LSD.Status, "active", "status after renewing");
  console.log("renewed");

  const renewed = await look(lcp, phone);
  same(renewed?.ID, lcp.ID, "id of the updated license");
  same(renewed.Rights.End.toISOString(), new Date(test.renewTo).toISOString(), "end of the updated license");
  same(await look(renewed, phone), undefined, "a license in place of the updated one");
  console.log("updated");

  lcp = renewed;
  lcp.LSD = await lsdReturn_(lcp.LSD, phone);
  same(lcp.LSD.Status, "returned", "status after returning");
  same(events(lcp), "register register renew return", "events after returning");
  await refused(lsdReturn_(lcp.LSD, phone), "returning again");
  const returned = await look(lcp, phone);
  same(returned?.Rights.End <= new Date(), true, "the license is over");
  await refused(lsdRegister_(lcp.LSD, device("late-3", "Late")), "registering too late");
  console.log("returned");
}

try {
  await borrow(JSON.parse(await readFile(process.argv[2], "utf8")));
} catch (err) {
  console.error(err instanceof Mismatch ? err.message : err);
  process.exitCode = 1;
}
