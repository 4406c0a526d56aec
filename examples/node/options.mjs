// Turns a server's address, with user and password if it wants them, into
// options of the client.

export function options(address, name) {
  const url = new URL(address);
  return {
    servers: url.host,
    user: url.username ? decodeURIComponent(url.username) : undefined,
    pass: url.password ? decodeURIComponent(url.password) : undefined,
    // An inbox of its own, so that permissions can keep others from reading it.
    inboxPrefix: `_INBOX_${name}`,
    maxReconnectAttempts: -1,
  };
}

// domain are the options of a JetStream client: with accounts, the streams are in the
// domain "payments". The client asks for no account's limits.
export function domain(name) {
  return { domain: name || undefined, checkAPI: false };
}
