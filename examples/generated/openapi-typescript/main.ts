// A client with the types that openapi-typescript generates from straks's OpenAPI document:
//
//	curl -o openapi.yaml $STRAKS_URL/openapi.yaml
//	npx openapi-typescript openapi.yaml -o straks.d.ts && npx tsc
//	STRAKS_TOKEN=… node main.js +4799999999
//
// It sends a login code, repeats the order, and reads what became of it.

import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./straks.js";

const client = createClient<paths>({
  baseUrl: process.env["STRAKS_URL"]!,
  headers: { Authorization: `Bearer ${process.env["STRAKS_TOKEN"]}` },
});

const order: components["schemas"]["SmsOrder"] = {
  idempotencyId: randomUUID(),
  recipientSms: {
    phoneNumber: process.argv[2]!,
    timeToLiveInSeconds: 300,
    smsSettings: { body: "Your code is 123456" },
  },
};

async function send() {
  const { data, error, response } = await client.POST("/future/orders/instant/sms", { body: order });
  if (error?.errors) {
    for (const path of Object.keys(error.errors)) {
      console.log(error.status, path);
    }
    process.exit(0);
  }
  if (error) {
    throw new Error(error.detail ?? error.title);
  }
  console.log(response.status === 201 ? "sent" : "repeated", data.notification.shipmentId);
  return data.notification.shipmentId;
}

async function follow(shipment: string) {
  for (let seq = 0; ; ) {
    const { data, error } = await client.GET("/future/shipment/feed", { params: { query: { seq, wait: 30 } } });
    if (error) {
      throw new Error(error.detail ?? error.title);
    }
    if (typeof data === "string") {
      throw new Error("a stream of events, which was not asked for");
    }
    for (const entry of data) {
      seq = entry.sequenceNumber;
      if (entry.shipmentId === shipment) {
        console.log("feed", entry.shipmentId, entry.recipients[0]?.status);
        return;
      }
    }
  }
}

const shipment = await send();
await send();
await follow(shipment);

const known = await client.GET("/future/shipment/{id}", { params: { path: { id: shipment } } });
if (known.data?.status !== "Order_Completed") {
  throw new Error(`shipment: ${known.response.status}`);
}
console.log("shipment", known.data.shipmentId, known.data.recipients[0]?.status);

const unknown = await client.GET("/future/shipment/{id}", { params: { path: { id: randomUUID() } } });
console.log("unknown", unknown.error?.code);
