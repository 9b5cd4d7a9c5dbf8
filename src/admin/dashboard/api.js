// Calls of the admin API, with the token that the operator has given. It is kept by the browser for
// this tab, and goes nowhere but into a request's Authorization.

const KEY = "copal-token";

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (it) => sessionStorage.setItem(KEY, it),
  forget: () => sessionStorage.removeItem(KEY),
};

/** An answer that is none of 2xx; status 0 where none came. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** What a call answers, out of its JSON. */
export async function ask(path, method = "GET", body = undefined) {
  const headers = { Accept: "application/json" };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const wanted = { method, headers, body: body && JSON.stringify(body), cache: "no-store" };
  const answer = await fetch(path, { ...wanted, signal: AbortSignal.timeout(10_000) }).catch(() => {
    throw new Refused(0, "Copal does not answer.");
  });
  const text = await answer.text();
  if (!answer.ok) throw new Refused(answer.status, complaint(text));
  return JSON.parse(text);
}

function complaint(text) {
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text.trim();
  }
}

export const status = () => ask("/api/v1/status");
export const origins = () => ask("/api/v1/origins");
export const requests = (after) => ask(`/api/v1/requests?after=${after}`);
export const purge = (what) => ask("/api/v1/purge", "POST", what);

export function explain(url, fields = []) {
  const query = new URLSearchParams([["url", url], ...fields.map((it) => ["header", it])]);
  return ask(`/api/v1/explain?${query}`);
}

export function adjust(origin, server, state) {
  const path = `/api/v1/origins/${encodeURIComponent(origin)}/servers/${encodeURIComponent(server)}`;
  return ask(path, "PUT", { state });
}
