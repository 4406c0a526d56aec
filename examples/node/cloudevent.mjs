// Reads and writes the events of docs/contract.md: both content modes, no
// validation (the JSON Schemas are in schemas/v1).

export const contentType = "application/cloudevents+json";

const text = new TextDecoder("utf-8", { fatal: true });

// read returns {attributes, data} of a message; it throws where there is none.
export function read(message) {
  const attributes = {};
  let structured = false;
  for (const [header, values] of message.headers ?? []) {
    const name = header.toLowerCase();
    if (name === "content-type") {
      structured ||= values[0].toLowerCase().startsWith("application/cloudevents");
    } else if (name.startsWith("ce-")) {
      attributes[name.slice(3)] = decodeURIComponent(values[0]); // percent-encoded, once
    }
  }
  const body = JSON.parse(text.decode(message.data));
  const event = { attributes, data: body };
  if (structured) { // a structured Content-Type wins over ce- headers
    const { data, ...rest } = body;
    event.attributes = rest;
    event.data = data;
  }
  const { id, source, type, specversion } = event.attributes;
  if (!id || !source || !type || specversion !== "1.0" || event.data === undefined) {
    throw new Error(`no event of the contract on ${message.subject}`);
  }
  return event;
}

// write returns the body of an event in structured mode.
export function write(attributes, data) {
  return JSON.stringify({ specversion: "1.0", datacontenttype: "application/json", ...attributes, data });
}

// token encodes an identifier as it stands in subjects: A-Z a-z 0-9 _ - as
// they are, every other byte as = and two upper-case hex digits.
export function token(identifier) {
  return identifier.replace(/[^A-Za-z0-9_-]/g, (c) => "=" + c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0"));
}
