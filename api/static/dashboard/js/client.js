// The API, as whoever is signed in.

import { ApiError, NetworkError, newKey, send } from "./http.js";
import { session } from "./session.js";

export { ApiError, NetworkError };

const JSON_LINES = "application/x-ndjson";

/**
 * Each raises ApiError, NetworkError (no answer) or an AbortError. Without a token they wait for sign-in; after a 401 they
 * wait for a new token and repeat the request once. A POST has an Idempotency-Key, the same in the repeat.
 */
export const api = {
  get: async (path, query, { signal } = {}) => parsed(await call("GET", path, { query, signal })),
  post: async (path, body, query) => parsed(await call("POST", path, { body: body ?? {}, query, key: newKey() })),
  put: async (path, body) => parsed(await call("PUT", path, { body })),
  patch: async (path, body) => parsed(await call("PATCH", path, { body })),
  del: async (path, query) => parsed(await call("DELETE", path, { query })),

  /** A Blob of what the path gives as `accept`. */
  download: async (path, query, accept = JSON_LINES) => (await call("GET", path, { query, accept })).blob(),

  /**
   * Yields the events of a stream: {event, id, data}, `data` parsed, `id` that of the event or null. A comment, which
   * the server sends to show that it is there, is {event: "comment"}. Ends when the server ends it.
   * `lastEventId` is sent as the header of that name.
   */
  async *stream(path, query, { signal, lastEventId } = {}) {
    const response = await call("GET", path, { query, signal, lastEventId, accept: "text/event-stream" });
    yield* events(response.body);
  },
};

async function call(method, path, options) {
  const token = await session.token({ signal: options.signal });
  try {
    return await send(method, path, { token, organization: session.organizationHeader(), ...options });
  } catch (error) {
    if (error.status !== 401) throw error;
    const renewed = await session.renewed(token, { signal: options.signal });
    return send(method, path, { token: renewed, organization: session.organizationHeader(), ...options });
  }
}

async function parsed(response) {
  return response.status === 204 ? null : response.json();
}

/** The events of a body in the format of Server-Sent Events. */
async function* events(body) {
  let fields = {};
  for await (const line of lines(body)) {
    if (line === "") {
      if (fields.data !== undefined) yield { event: fields.event ?? "message", id: fields.id ?? null, data: JSON.parse(fields.data) };
      fields = {};
    } else if (line.startsWith(":")) {
      yield { event: "comment", id: null, data: null };
    } else {
      const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      fields[name] = name === "data" && fields.data !== undefined ? `${fields.data}\n${value}` : value;
    }
  }
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      const found = (rest + value).split("\n");
      rest = found.pop();
      yield* found;
    }
  } catch (error) {
    throw error.name === "AbortError" ? error : new NetworkError(error);
  } finally {
    reader.cancel().catch(() => {});
  }
}
