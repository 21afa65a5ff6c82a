// Who is signed in: a token, kept for this tab only; the secret that gets the next one is in memory and nowhere else.

const AHEAD_MS = 60_000;
/** A token is renewed so long before it ends, so that none ends on its way. */

export class SignInError extends Error {}

export class Session {
  #place = `atlas ${new URL(".", document.baseURI).pathname}`; // several stages may share an origin
  #credentials = null;
  #renewing = null;

  constructor() {
    let kept = null;
    try {
      kept = JSON.parse(sessionStorage.getItem(this.#place));
    } catch {
      // storage is switched off, or holds something else: sign in
    }
    this.token = kept?.token ?? null;
    this.until = kept?.until ?? Infinity;
  }

  /** Takes what the address's fragment brings, and takes it out of the address and the history at once. */
  async takeFragment() {
    const given = new URLSearchParams(location.hash.slice(1));
    if (!given.has("token") && !given.has("client_secret")) return;
    history.replaceState(history.state, "", location.pathname + location.search);
    if (given.has("token")) this.#keep(given.get("token"), Infinity);
    else await this.signIn(given.get("client_id") ?? "", given.get("client_secret"), given.get("audience"));
  }

  /** Gets a token for a client's id and secret. Raises SignInError with what to tell a person. */
  async signIn(clientId, secret, audience = null) {
    const credentials = { client_id: clientId, client_secret: secret, audience: audience ?? (await ownAudience()) };
    await this.#ask(credentials);
    this.#credentials = credentials;
  }

  /** The token to send now, renewed if it is about to end; null if there is none. */
  async current() {
    if (this.token && Date.now() > this.until - AHEAD_MS) await this.renew();
    return this.token;
  }

  /** Gets the next token, once for all who ask meanwhile; whether there is one. */
  async renew() {
    this.#renewing ??= (this.#credentials ? this.#ask(this.#credentials) : Promise.reject(new SignInError("")))
      .then(() => true, () => {
        this.forget();
        return false;
      })
      .finally(() => { this.#renewing = null; });
    return this.#renewing;
  }

  forget() {
    this.token = null;
    this.#credentials = null;
    try {
      sessionStorage.removeItem(this.#place);
    } catch {
      // nothing was kept
    }
  }

  async #ask(credentials) {
    const began = Date.now();
    const body = new URLSearchParams({ grant_type: "client_credentials", ...credentials });
    const response = await fetch("token", { method: "POST", body, cache: "no-store" }).catch(() => {
      throw new SignInError("Atlas cannot be reached. Is the network there?");
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new SignInError(refusal(response.status, answer));
    this.#keep(answer.access_token, began + answer.expires_in * 1000);
  }

  #keep(token, until) {
    this.token = token;
    this.until = until;
    try {
      sessionStorage.setItem(this.#place, JSON.stringify({ token, ...(until === Infinity ? {} : { until }) }));
    } catch {
      // signed in until the page is left
    }
  }
}

async function ownAudience() {
  const response = await fetch("health", { cache: "no-store" }).catch(() => null);
  if (!response?.ok) throw new SignInError("Atlas cannot be reached. Is the network there?");
  return `atlas-${(await response.json()).stage}/queries`;
}

function refusal(status, answer) {
  if (status === 401 && answer.error) return "The client id or the secret is wrong.";
  if (status === 403 && answer.error) return "This client may not ask the query API. Whoever runs Atlas can allow it: atlas client add NAME --api queries";
  if (status === 429) return "Too many try to sign in just now. Try again in a minute.";
  if ([401, 404, 405].includes(status)) return "This server gives no tokens. Open the link that atlas serve printed.";
  return answer.error_description ?? answer.detail ?? answer.message ?? `Signing in failed (${status}). Try again in a moment.`;
}
