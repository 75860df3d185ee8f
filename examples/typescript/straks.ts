// Sends an SMS through straks, and follows the feed of status changes.
// Needs Node.js 20. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.
//
//   npm ci && npx tsc
//   node straks.js send PHONE TEXT     prints the shipment's id
//   node straks.js follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

interface Placed { notification: { shipmentId: string } }
interface Entry { sequenceNumber: number; shipmentId: string; recipients: { status: string }[] }

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
  throw new Error(`refused with ${answer.status}: ${text}`);
}

export async function send(phoneNumber: string, body: string, forSeconds = 60): Promise<string> {
  // One key for one message, made before the first attempt and the same in each. It makes the repeat
  // safe: straks sends a key once, however often it comes. Keep it with what the message is about.
  const order = {
    idempotencyId: randomUUID(),
    recipientSms: { phoneNumber, timeToLiveInSeconds: 300, smsSettings: { body } },
  };
  const deadline = Date.now() + forSeconds * 1000;
  for (;;) {
    try {
      return (await call<Placed>("/future/orders/instant/sms", order)).notification.shipmentId;
    } catch (e) {
      if (!(e instanceof Again) || Date.now() + e.seconds * 1000 > deadline) throw e;
      await sleep(e.seconds * 1000);
    }
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
  } else {
    throw new Error("usage: send PHONE TEXT | follow FILE [N]");
  }
}

main(process.argv.slice(2)).catch((e: unknown) => {
  console.error(e instanceof Error ? e.message : e);
  process.exit(1);
});
