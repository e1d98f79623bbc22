// One request to the API, with a token that is given; and what can go wrong with it.

/** The API answered with an error. */
export class ApiError extends Error {
  constructor(status, { detail, items = [], retryAfterS = null, requestId = null }) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.detail = detail; // a sentence
    this.items = items; // [{loc: ["body", "identity"], msg}] of a 422
    this.retryAfterS = retryAfterS; // of a 429 or 503
    this.requestId = requestId;
  }
}

/** There was no answer: the network, or the API itself, is away. */
export class NetworkError extends Error {
  constructor(cause) {
    super("Chargehand does not answer", { cause });
    this.name = "NetworkError";
    this.detail = this.message;
  }
}

/**
 * The response, if its status is below 400.
 * Raises ApiError, NetworkError, or an AbortError when the signal is aborted.
 */
export async function send(method, path, { token, organization, query, body, accept, key, lastEventId, signal } = {}) {
  const headers = new Headers({ Accept: accept ?? "application/json" });
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (organization) headers.set("X-Organization-Id", organization);
  if (key) headers.set("Idempotency-Key", key);
  if (lastEventId) headers.set("Last-Event-ID", lastEventId);
  if (body !== undefined) headers.set("Content-Type", "application/json");
  let response;
  try {
    response = await fetch(path + queryString(query), {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new NetworkError(error);
  }
  if (response.ok) return response;
  throw await errorOf(response);
}

/** A random text for Idempotency-Key. crypto.randomUUID exists on https and localhost only. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function queryString(query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

async function errorOf(response) {
  const body = await response.json().catch(() => null);
  const items = Array.isArray(body?.detail) ? body.detail.filter((each) => each && typeof each === "object") : [];
  const retryAfter = Number(response.headers.get("Retry-After"));
  return new ApiError(response.status, {
    detail: typeof body?.detail === "string" ? body.detail : sentence(items) || `The API answered ${response.status}`,
    items,
    retryAfterS: retryAfter > 0 ? retryAfter : null,
    requestId: response.headers.get("X-Request-Id"),
  });
}

function sentence(items) {
  return items.map(({ loc, msg }) => [(loc ?? []).slice(1).join("."), msg].filter(Boolean).join(": ")).join("; ");
}
