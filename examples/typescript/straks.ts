// Sends an SMS through straks, follows the feed of status changes, and verifies a person's number by a code.
// Needs Node.js 20. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.
//
//   npm ci && npx tsc
//   node straks.js send PHONE TEXT     prints the shipment's id
//   node straks.js follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor
//   node straks.js start PHONE         sends a code, prints the verification's id
//   node straks.js check ID CODE       prints approved, pending and the attempts left, or ended and why
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

interface Placed { notification: { shipmentId: string } }
interface Entry { sequenceNumber: number; shipmentId: string; recipients: { status: string }[] }

interface Verification { verificationId: string; status: string; attemptsLeft: number }

/** A repeat of the call does not help. */
class Refused extends Error {
  constructor(readonly status: number, readonly text: string) { super(`refused with ${status}: ${text}`); }
}

/** The call may be repeated after so many seconds. */
class Again extends Error {
  constructor(readonly seconds: number, why: string) { super(why); }
}

async function call<T>(path: string, order?: unknown): Promise<T> {
  const init: RequestInit = {
    headers: { Authorization: `Bearer ${process.env.STRAKS_TOKEN}`, "Content-Type": "application/json" },
    signal: AbortSignal.timeout(35_000),
    redirect: "error",
  };
  if (order !== undefined) Object.assign(init, { method: "POST", body: JSON.stringify(order) });
  let answer: Response, text: string;
  try {
    answer = await fetch(process.env.STRAKS_URL + path, init);
    text = await answer.text();
  } catch (e) { // no answer, or half of one
    throw new Again(1, String(e));
  }
  if (answer.ok) return JSON.parse(text) as T;
  if (answer.status === 408 || answer.status === 429 || answer.status >= 500) {
    throw new Again(Number(answer.headers.get("Retry-After")) || 1, `${answer.status}`);
  }
  throw new Refused(answer.status, text);
}

/** Repeats a call until there is an answer. */
async function persist<T>(path: string, body: unknown, forSeconds: number): Promise<T> {
  const deadline = Date.now() + forSeconds * 1000;
  for (;;) {
    try {
      return await call<T>(path, body);
    } catch (e) {
      if (!(e instanceof Again) || Date.now() + e.seconds * 1000 > deadline) throw e;
      await sleep(e.seconds * 1000);
    }
  }
}

export async function send(phoneNumber: string, body: string, forSeconds = 60): Promise<string> {
  // One key for one message, made before the first attempt and the same in each. It makes the repeat
  // safe: straks sends a key once, however often it comes. Keep it with what the message is about.
  const order = {
    idempotencyId: randomUUID(),
    recipientSms: { phoneNumber, timeToLiveInSeconds: 300, smsSettings: { body } },
  };
  return (await persist<Placed>("/future/orders/instant/sms", order, forSeconds)).notification.shipmentId;
}

/** Sends a code. Keep the id in the person's session, and take it from nowhere else. */
export async function start(phoneNumber: string, forSeconds = 60): Promise<string> {
  const request = { idempotencyId: randomUUID(), recipientSms: { phoneNumber } }; // one key, as in send
  return (await persist<Verification>("/verifications", request, forSeconds)).verificationId;
}

/** Returns what came of a code. The right one is approved again for 10 seconds, so a repeat may ask for so long. */
export async function check(id: string, code: string): Promise<string> {
  try {
    const v = await persist<Verification>(`/verifications/${encodeURIComponent(id)}/check`, { code }, 10);
    return v.status === "approved" ? "approved" : `pending ${v.attemptsLeft}`; // pending: it was wrong
  } catch (e) {
    if (!(e instanceof Refused) || e.status !== 410) throw e;
    return `ended ${JSON.parse(e.text).code}`; // expired, used, exhausted, cancelled: start again
  }
}

/** Calls handle with each entry, in order, until it returns false. After a crash the last entry may come again. */
export async function follow(file: string, handle: (e: Entry) => boolean): Promise<void> {
  let cursor = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  for (;;) {
    let page: Entry[] = [];
    let pause = 0; // after an answer: the service has waited
    try {
      page = await call<Entry[]>(`/future/shipment/feed?seq=${cursor}&wait=30`);
    } catch (e) {
      if (!(e instanceof Again)) throw e;
      pause = e.seconds;
    }
    for (const entry of page) {
      const more = handle(entry);
      cursor = entry.sequenceNumber;
      writeFileSync(file, String(cursor)); // only when the entry is dealt with
      if (!more) return;
    }
    await sleep(pause * 1000);
  }
}

async function main([command, ...args]: string[]): Promise<void> {
  if (command === "send" && args.length === 2) {
    console.log(await send(args[0], args[1]));
  } else if (command === "follow" && args.length >= 1) {
    let left = Number(args[1] ?? 0);
    await follow(args[0], (e) => {
      console.log(e.sequenceNumber, e.shipmentId, e.recipients[0].status);
      return --left !== 0;
    });
  } else if (command === "start" && args.length === 1) {
    console.log(await start(args[0]));
  } else if (command === "check" && args.length === 2) {
    console.log(await check(args[0], args[1]));
  } else {
    throw new Error("usage: send PHONE TEXT | follow FILE [N] | start PHONE | check ID CODE");
  }
}

main(process.argv.slice(2)).catch((e: unknown) => {
  console.error(e instanceof Error ? e.message : e);
  process.exit(1);
});
