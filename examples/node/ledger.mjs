// A small ledger: a durable subscriber to everything that moves money, which
// books each movement once. Plain NATS client, no CloudEvents library.
//
//   npm ci && node ledger.mjs -book ledger.jsonl

import { closeSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { connect } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";
import { read } from "./cloudevent.mjs";
import { domain, options } from "./options.mjs";

const stream = "PAYMENT_EVENTS";

const text = (standard) => ({ type: "string", default: standard });
const { values: o } = parseArgs({
  args: process.argv.slice(2).map((a) => (/^-[a-z]{2}/.test(a) ? "-" + a : a)),
  options: { nats: text("nats://127.0.0.1:4222"), domain: text(""), consumer: text("ledger"), book: text("ledger.jsonl") },
});

// The book: one booking a line. Acknowledgements come after the line is on
// disk, so an event may be delivered again, and is then found in known.
const book = openSync(o.book, "a", 0o600);
const whole = readFileSync(o.book, "utf8").replace(/[^\n]*$/, ""); // a cut last line was never acknowledged
truncateSync(o.book, Buffer.byteLength(whole));
const known = new Set(whole.split("\n").filter(Boolean).map((line) => JSON.parse(line).id));

const nc = await connect(options(o.nats, o.consumer));
// A durable consumer, never a plain subscription: that would miss what is
// published while this process is away, and see appends the stream refuses. It was
// made for this ledger, with the filters payment.*.succeeded.>, payment.*.returned.>
// and payment.*.executed_late.>: who could create it would name the subject to deliver to.
const consumer = await jetstream(nc, domain(o.domain)).consumers.get(stream, o.consumer);
const messages = await consumer.consume();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => messages.stop());
console.log("ready");

// booking turns an event into a line. Books are kept by effect and moved:
// amount is only what was asked.
function booking({ attributes, data }) {
  let direction = "none"; // seen from the merchant
  if (attributes.type.endsWith(".returned")) direction = "in";
  else if (data.effect === "refunded") direction = "out";
  return {
    // A fact (returned, executed_late) has no idempotencykey; its id is unique.
    id: attributes.idempotencykey ?? attributes.id,
    type: attributes.type, payment: attributes.subject, key: data.idempotencyKey,
    effect: data.effect, moved: data.moved, direction,
  };
}

function what({ direction, effect, moved }) {
  if (direction === "none") return `${effect}, no money`;
  return moved ? `${direction} ${moved.value} ${moved.currency}` : `${direction}, an amount the provider did not name`;
}

for await (const message of messages) {
  const one = booking(read(message)); // what cannot be read stops the ledger unacknowledged
  if (known.has(one.id)) {
    console.log(`known ${one.id}`);
  } else {
    writeSync(book, JSON.stringify(one) + "\n");
    fsyncSync(book);
    known.add(one.id);
    console.log(`booked ${one.id} ${what(one)}`);
  }
  message.ack();
}
await nc.drain();
closeSync(book);
