// A small order service: it asks for one refund and waits for the one terminal
// result of its idempotency key. Plain NATS client, no CloudEvents library.
//
//   npm ci && node orderservice.mjs -order 1001000 -amount 400 -currency EGP -key order-1001-return-1
//
// Exit code 0: refunded. 1: failed, rejected, or no valid command. 2: not
// published. 4: no terminal result yet; running the same again goes on waiting,
// because a repeat is the same operation.

import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { connect, headers } from "@nats-io/transport-node";
import { AckPolicy, DeliverPolicy, jetstream, JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { contentType, read, token, write } from "./cloudevent.mjs";
import { options } from "./options.mjs";

const stream = "PAYMENT_EVENTS";
const type = "payment.refund.requested";
const source = "/examples/orders";
const exit = { refunded: 0, refused: 1, unsent: 2, waiting: 4 };

const text = (standard) => ({ type: "string", default: standard });
const { values: o } = parseArgs({
  // One hyphen is enough, as for the example in Go.
  args: process.argv.slice(2).map((a) => (/^-[a-z]{2}/.test(a) ? "-" + a : a)),
  options: {
    nats: text("nats://127.0.0.1:4222"), consumer: text("orders-eg"), provider: text("opay-eg"),
    order: text(""), transaction: text(""), country: text(""), amount: text("0"), currency: text("EGP"),
    full: { type: "boolean", default: false }, key: text(""), reason: text(""), wait: text("120"), // seconds
  },
});
const native = o.transaction || o.order;
const idempotencykey = `${o.provider}/${token(native)}/refund/${o.key}`;

const nc = await connect(options(o.nats, o.consumer));
const js = jetstream(nc);
const jsm = await jetstreamManager(nc, { checkAPI: false });

const late = setTimeout(() => finish(exit.waiting, "no terminal result yet; run the same again to wait on"), Number(o.wait) * 1000);
const own = [o.consumer, `${o.consumer}-rejected`];

// finish deletes the consumers and ends the program.
async function finish(code, line) {
  clearTimeout(late);
  console.log(line);
  await Promise.allSettled(own.map((name) => jsm.consumers.delete(stream, name)));
  await nc.close();
  process.exit(code);
}

// follow yields what matches the filter, from a consumer that is named (so that
// permissions can be given for it) and not durable. One left behind by a killed
// run is deleted first: it stands elsewhere.
async function follow(name, filter, from) {
  await jsm.consumers.delete(stream, name).catch((err) => {
    if (!(err instanceof JetStreamApiError)) throw err;
  });
  const config = {
    name, filter_subject: filter, deliver_policy: from, ack_policy: AckPolicy.None,
    inactive_threshold: 60e9, // nanoseconds
  };
  await jsm.consumers.add(stream, config);
  const consumer = await js.consumers.get(stream, name);
  return await consumer.consume();
}

// publish sends the command until the stream has confirmed it. Every try is the
// same event under the same message id, so a lost confirmation is harmless.
async function publish() {
  const id = `${o.key}-${randomUUID()}`;
  const payment = { orderId: o.order || undefined, transactionId: o.transaction || undefined, country: o.country || undefined };
  const data = { idempotencyKey: o.key, provider: o.provider, payment, reason: o.reason || undefined };
  if (o.full) data.full = true;
  else data.amount = { value: Number(o.amount), currency: o.currency };
  const h = headers();
  h.set("Content-Type", contentType);
  const body = write({ id, source, type, time: new Date().toISOString() }, data);
  for (;;) {
    try {
      await js.publish(`${type}.${o.provider}`, body, {
        headers: h, msgID: `${source}/${id}`, expect: { streamName: "PAYMENT_COMMANDS" },
      });
      return id;
    } catch (err) {
      if (err instanceof JetStreamApiError) throw err; // refused by the stream: too large, for example
      await new Promise((again) => setTimeout(again, 1000));
    }
  }
}

// answers: a key belongs to the content it was first used with.
function answers(result) {
  if (o.full || !result.amount) return o.full === (result.full === true);
  return result.amount.value === Number(o.amount) && result.amount.currency === o.currency;
}

async function awaitRejection(messages, id) {
  for await (const message of messages) {
    const { attributes, data } = read(message);
    if (attributes.causationid === id) await finish(exit.refused, `rejected: ${data.code} ${JSON.stringify(data.faults)}`);
  }
}

async function awaitResult(messages) {
  for await (const message of messages) {
    const { attributes, data } = read(message);
    if (attributes.idempotencykey !== idempotencykey || !answers(data)) {
      // Not terminal, another command's, or of other content under the same key.
      if (data.review) console.log(`a person is asked: ${data.review.question}`);
    } else if (attributes.type === "payment.refund.succeeded") {
      const moved = data.moved ? `${data.moved.value} ${data.moved.currency}` : "an amount the provider did not name";
      await finish(exit.refunded, `${data.status}: moved ${moved}`);
    } else { // failed or rejected: over, and a new try needs a new key
      await finish(exit.refused, `${data.status}: ${data.code}`);
    }
  }
}

const rejections = await follow(own[1], "payment.command.rejected.*", DeliverPolicy.New); // from now on
const id = await publish().catch((err) => finish(exit.unsent, `publish command: ${err.message}`));
console.log("published", id);
// Everything about the payment, from its beginning: a repeat of a command that
// has ended adds no event, its result is there already.
const results = await follow(own[0], `payment.refund.*.${o.provider}.${token(native)}.*`, DeliverPolicy.All);
await Promise.race([awaitRejection(rejections, id), awaitResult(results)]);
