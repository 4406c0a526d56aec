// A small order service: it asks for one refund and waits for the one terminal
// result of its idempotency key. Plain NATS client, no CloudEvents library. It
// publishes with one login and reads results with another, which may be the same on a
// server without accounts.
//
//   npm ci && node orderservice.mjs -order 1001000 -amount 400 -currency EGP -key order-1001-return-1
//
// Exit code 0: refunded. 1: failed, rejected, or no valid command. 2: not
// published. 4: no terminal result yet; running the same again goes on waiting,
// because a repeat is the same operation.

import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { connect, headers } from "@nats-io/transport-node";
import { jetstream, JetStreamApiError } from "@nats-io/jetstream";
import { contentType, read, token, write } from "./cloudevent.mjs";
import { domain, options } from "./options.mjs";

const streams = ["PAYMENT_EVENTS", "PAYMENT_REFUSALS"];
const type = "payment.refund.requested";
const source = "/examples/orders";
const exit = { refunded: 0, refused: 1, unsent: 2, waiting: 4 };

const text = (standard) => ({ type: "string", default: standard });
const { values: o } = parseArgs({
  // One hyphen is enough, as for the example in Go.
  args: process.argv.slice(2).map((a) => (/^-[a-z]{2}/.test(a) ? "-" + a : a)),
  options: {
    nats: text("nats://127.0.0.1:4222"), results: text(""), domain: text(""), consumer: text("orders-eg"), provider: text("opay-eg"),
    order: text(""), transaction: text(""), country: text(""), amount: text("0"), currency: text("EGP"),
    full: { type: "boolean", default: false }, key: text(""), reason: text(""), wait: text("120"), // seconds
  },
});
const native = o.transaction || o.order;
const idempotencykey = `${o.provider}/${token(native)}/refund/${o.key}`;

const nc = await connect(options(o.nats, o.consumer));
const reading = await connect(options(o.results || o.nats, `${o.consumer}-read`));
const js = jetstream(nc, domain(o.domain));

const late = setTimeout(() => finish(exit.waiting, "no terminal result yet; run the same again to wait on"), Number(o.wait) * 1000);

// finish ends the program, once acknowledgements have arrived.
async function finish(code, line) {
  clearTimeout(late);
  console.log(line);
  await reading.flush();
  await Promise.all([nc.close(), reading.close()]);
  process.exit(code);
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
      const { seq } = await js.publish(`${type}.${o.provider}`, body, {
        headers: h, msgID: `${source}/${id}`, expect: { streamName: "PAYMENT_COMMANDS" },
      });
      return { id, seq };
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

// tell ends with a terminal result. After failed or rejected a new try needs a new key.
async function tell({ status, code, moved }) {
  if (status !== "succeeded") await finish(exit.refused, `${status}: ${code}`);
  await finish(exit.refunded, `${status}: moved ${moved ? `${moved.value} ${moved.currency}` : "an amount the provider did not name"}`);
}

// ended asks where the refund stands. A repeat of a command that has ended adds no
// event: its result was delivered to an earlier run, and the status has it.
async function ended() {
  const question = { provider: o.provider, payment: native, operation: "refund", idempotencyKey: o.key };
  const answer = await nc.request(`payments.status.${o.provider}`, JSON.stringify(question), { timeout: 5000 }).catch(() => undefined);
  const [result] = answer?.json().operations ?? [];
  if (result && answers(result) && ["succeeded", "failed", "rejected"].includes(result.status)) await tell(result);
}

// The durable consumers that were made for this order service: one for the events of its
// provider, one for the answers to messages that are no valid commands. Who could create
// them would name the subject to deliver to.
const results = jetstream(reading, domain(o.domain));
const consumers = await Promise.all(streams.map((stream) => results.consumers.get(stream, o.consumer)));
const { id, seq } = await publish().catch((err) => finish(exit.unsent, `publish command: ${err.message}`));
console.log("published", id);
await ended();

// follow reads one consumer until the program ends.
async function follow(consumer) {
  for await (const message of await consumer.consume({ max_messages: 100 })) { // the server permits 256
    const { attributes, data } = read(message);
    message.ack(); // a real order service writes down what it reads before it says so
    if (attributes.type === "payment.command.rejected" && data.originSequence === seq) {
      await finish(exit.refused, `rejected: ${data.code} ${JSON.stringify(data.faults)}`);
    } else if (attributes.idempotencykey === idempotencykey && answers(data)) {
      await tell(data);
    } else if (data.review && data.idempotencyKey === o.key) {
      console.log(`a person is asked: ${data.review.question}`); // not terminal
    }
  }
}
await Promise.all(consumers.map(follow));
