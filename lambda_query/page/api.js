// Asks the API: with the session's token, patient where the API asks for patience, and clear where it refuses.

const LONGEST_WAIT_MS = 10 * 60_000;
const TRIES = 3;
/** Of a request that the API asks to send again: 429 and 503. */

/** What went wrong, as the API's problem document says it, or as near to it as can be said without one. */
export class Problem extends Error {
  constructor(status, title, detail = "") {
    super(detail || title);
    Object.assign(this, { status, title, detail });
  }
}

export class Api {
  #session;
  #signedOut;

  /** `signedOut(why)` is called when the token does not hold (any more), and there is no other. */
  constructor(session, signedOut) {
    this.#session = session;
    this.#signedOut = signedOut;
  }

  /** The JSON answer of a path under the API. `waiting` is called when it takes longer. Raises Problem, AbortError. */
  async get(path, parameters = {}, { signal, waiting = () => {} } = {}) {
    const query = new URLSearchParams(parameters).toString();
    let response = await this.#patient(query ? `${path}?${query}` : path, signal, waiting);
    const began = Date.now();
    while (response.status === 202) {
      waiting("The query takes longer than usual. It is still running.");
      const running = await response.json();
      if (Date.now() - began > LONGEST_WAIT_MS) throw new Problem(504, "No answer", "The query has run for ten minutes. Ask for fewer days.");
      await sleep(seconds(response, 2), signal);
      response = await this.#patient(running.answer, signal, waiting);
    }
    return response.json();
  }

  async #patient(address, signal, waiting) {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.#send(address, signal);
      if (response.ok) return response;
      if (![429, 503].includes(response.status) || attempt === TRIES) throw await problem(response);
      waiting("Atlas is busy. Asking again in a moment.");
      await sleep(seconds(response, attempt) * (1 + Math.random() / 2), signal);
    }
  }

  async #send(address, signal) {
    const token = await this.#session.current();
    let response = await fetched(address, token, signal);
    if (response.status === 401 && (await this.#renewed(token))) response = await fetched(address, this.#session.token, signal);
    if (response.status === 401) this.#signedOut("Your sign-in has ended. Sign in again.");
    if (response.status === 403) this.#signedOut((await problem(response.clone())).message);
    return response;
  }

  /** Whether there is another token than the one that was refused, or will be in a moment. */
  async #renewed(refused) {
    return (this.#session.token && this.#session.token !== refused) || this.#session.renew();
  }
}

async function fetched(address, token, signal) {
  try {
    return await fetch(address, { signal, headers: token ? { Authorization: `Bearer ${token}` } : {} });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new Problem(0, "Not reached", "Atlas cannot be reached. Is the network there?");
  }
}

async function problem(response) {
  const document = await response.json().catch(() => ({}));
  const title = document.title ?? document.message ?? `The API answered ${response.status}`;
  return new Problem(response.status, title, document.detail);
}

function seconds(response, otherwise) {
  const asked = Number(response.headers.get("Retry-After"));
  return Math.min(asked > 0 ? asked : otherwise, 15);
}

function sleep(length, signal) {
  return new Promise((resolve, reject) => {
    const done = setTimeout(resolve, length * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(done);
      reject(signal.reason);
    }, { once: true });
  });
}
