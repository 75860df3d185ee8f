// Receives webhooks of straks: verifies each, drops repeats, and prints what is new.
// Needs Node.js 20 and the library of the specification. WEBHOOK_SECRET is the secret, "whsec_…".
//
//   npm ci && npx tsc
//   node receiver.js HOST PORT
import { createServer, type IncomingMessage } from "node:http";
import { Webhook } from "standardwebhooks";

interface Event { type: string; data: { recipients: { status: string }[] } }

const webhook = new Webhook(process.env.WEBHOOK_SECRET!);
const maxBody = 1 << 20;
const seen = new Set<string>(); // in a real receiver: a table with a unique id, written together with the event

/** The body as it came: the signature is over these octets. */
async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of request) {
    if ((octets += chunk.length) > maxBody) throw new Error("too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

createServer(async (request, answer) => {
  try {
    const headers = request.headers as Record<string, string>;
    // verify refuses what has no good signature, and what is older than five minutes.
    const event = webhook.verify(await read(request), headers) as Event;
    const id = headers["webhook-id"]!;
    if (!seen.has(id)) {
      seen.add(id);
      console.log(id, event.type, event.data.recipients[0]!.status);
    }
    answer.writeHead(204).end();
  } catch {
    answer.writeHead(401).end();
  }
}).listen(Number(process.argv[3]), process.argv[2]);
