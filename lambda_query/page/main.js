// The page: who is signed in, which days are shown, and which part shows what of them.

import * as activity from "./activity.js";
import { Api } from "./api.js";
import { books, daysOf, refusedTotal } from "./books.js";
import * as range from "./days.js";
import { dayInWords, h } from "./dom.js";
import { endpoints, errors } from "./endpoints.js";
import { showFreshness } from "./freshness.js";
import { hours } from "./hours.js";
import * as signIns from "./logins.js";
import { alongside, Panel } from "./panel.js";
import { Session, SignInError } from "./session.js";

const USUAL_DAYS = 7;
const MOST_ENDPOINTS = 100;
const NOTHING_YET = "Nothing is published yet. Drop a file under raw/ (atlas put FILE): the next run publishes its days, or at once: atlas run.";
const $ = (id) => document.getElementById(id);

const session = new Session();
const api = new Api(session, askToSignIn);
const panels = Object.fromEntries(
  ["books", "requests", "statuses", "apps", "devices", "endpoints", "errors", "hours", "logins"].map((id) => [id, new Panel($(id))]),
);
let shown = new AbortController();
let latest = null;
/** The last day that is published, from where the ready-made ranges count. */

// Signing in

function askToSignIn(why = "") {
  shown.abort();
  session.forget();
  $("numbers").hidden = $("sign-out").hidden = true;
  $("sign-in").hidden = false;
  $("sign-in-why").textContent = why;
  $("freshness").replaceChildren();
  $("client-id").focus();
}

async function signIn(how) {
  try {
    await how();
  } catch (fault) {
    if (!(fault instanceof SignInError)) throw fault;
    askToSignIn(fault.message);
    return;
  }
  if (session.token) start();
  else askToSignIn();
}

$("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  $("sign-in-why").textContent = "";
  await signIn(() => session.signIn(form.client_id.value.trim(), form.client_secret.value));
  button.disabled = false;
  if (session.token) form.reset();
});
$("sign-out").addEventListener("click", () => askToSignIn());
addEventListener("hashchange", () => { if (location.hash) signIn(() => session.takeFragment()); });

// Which days

function start() {
  if (!$("sign-in").hidden) $("main").focus();
  $("sign-in").hidden = true;
  $("numbers").hidden = $("sign-out").hidden = false;
  show();
}

function choose(days) {
  const wrong = range.fault(days);
  $("range-wrong").textContent = wrong;
  for (const id of ["from", "to"]) $(id).toggleAttribute("aria-invalid", Boolean(wrong));
  if (wrong) return;
  history.pushState(null, "", range.toAddress({ range: days, day: null }));
  show();
}

$("range").addEventListener("submit", (event) => {
  event.preventDefault();
  choose({ from: $("from").value, to: $("to").value });
});
for (const button of document.querySelectorAll("[data-days]")) {
  button.addEventListener("click", () => choose(range.until(latest ?? $("to").value, Number(button.dataset.days))));
}
addEventListener("popstate", () => { if (session.token) show(); });

function showRange(days) {
  $("from").value = days.from;
  $("to").value = days.to;
  for (const button of document.querySelectorAll("[data-days]")) {
    const own = range.until(latest ?? days.to, Number(button.dataset.days));
    button.setAttribute("aria-pressed", String(own.from === days.from && own.to === days.to));
  }
}

// What is shown

/** Shows what the address says, or the last days that are published. */
function show() {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const ask = asker(signal);
  const address = range.fromAddress(location.search);
  if (address.range) showRange(address.range);
  const freshness = ask("freshness").then((answer) => {
    latest = answer.last_published ?? range.addDays(answer.today, -1);
    showFreshness($("freshness"), answer);
    if (address.range) showRange(address.range);
    return answer;
  });
  freshness.catch(() => $("freshness").replaceChildren());
  if (address.range) fillAll({ ask, signal, address, asked: address.range });
  else {
    freshness.then((answer) => {
      const usual = range.until(latest, USUAL_DAYS);
      showRange(usual);
      if (answer.last_published) fillAll({ ask, signal, address, asked: usual });
      else alone((panel) => panel.show(async () => NOTHING_YET, String, signal), signal);
    }, (fault) => alone((panel) => panel.fail(fault, show), signal));
  }
}

/** One part for the whole page: there is no last day from which the usual ones would count. */
function alone(say, signal) {
  if (signal.aborted) return;
  $("tiles").replaceChildren();
  for (const panel of Object.values(panels)) panel.hidden = true;
  panels.books.hidden = false;
  say(panels.books);
}

async function fillAll({ ask, signal, address, asked }) {
  const theirs = { from: asked.from, to: asked.to };
  // The usual days begin with the first that was ever processed; what a person asked for is shown as it was asked for.
  const days = address.range
    ? Promise.resolve(range.every(asked))
    : ask("books", theirs).then((answer) => range.every({ ...asked, from: first(answer) ?? asked.from }), () => range.every(asked));
  days.then((list) => { if (!signal.aborted) showRange({ from: list[0], to: list.at(-1) }); });
  const oneDay = range.length(asked) === 1;
  const opening = { api, signal, day: address.day, opened: (day) => history.replaceState(null, "", range.toAddress({ range: address.range, day })) };
  const part = (id, path, parameters, fill) => {
    panels[id].hidden = false;
    const load = async ({ waiting }) => Promise.all([days, ask(path, parameters, waiting)]);
    return panels[id].show(load, ([list, answer]) => fill(list, answer), signal);
  };
  panels.hours.hidden = panels.errors.hidden = !oneDay;
  panels.requests.hidden = oneDay; // its hours say more
  const tiles = fillTiles({ ask, theirs, signal });
  const done = await Promise.all([
    part("books", "books", theirs, (list, answer) => books(list, answer, opening)),
    part("statuses", "daily_activity", theirs, activity.statusClasses),
    part("apps", "daily_activity", theirs, (list, answer) => activity.shareOf(list, answer, "requests_by_app", "Application")),
    part("devices", "daily_activity", theirs, (list, answer) => activity.shareOf(list, answer, "requests_by_device", "Device")),
    part("endpoints", "endpoints", { ...theirs, most: MOST_ENDPOINTS }, (_, answer) => endpoints(answer)),
    part("logins", "logins", theirs, signIns.logins),
    ...(oneDay ? [
      part("hours", `hourly_activity/${asked.to}`, {}, (_, answer) => hours(answer)),
      part("errors", `errors/${asked.to}`, {}, (_, answer) => errors(answer)),
    ] : [part("requests", "daily_activity", theirs, activity.requestsAndErrors)]),
  ]);
  await tiles;
  if (signal.aborted) return;
  const failed = done.filter((worked) => !worked).length;
  const list = await days;
  $("told").textContent = `Shown: ${dayInWords(list[0])} to ${dayInWords(list.at(-1))}.${failed ? ` ${failed} of ${done.length} parts could not be loaded.` : ""}`;
}

const first = (answer) => [...daysOf(answer).keys()].sort()[0];

/** Fills the numbers at the top; done when they are there, or are not going to be. */
function fillTiles({ ask, theirs, signal }) {
  const tiles = ["Requests", "Errors", "Refused records", "Sign-ins today"].map((title) => h("div", {}, h("dt", {}, title), h("dd", {}, "…"), h("dd", { class: "quiet" })));
  $("tiles").replaceChildren(...tiles);
  const put = async (own, load, of) => {
    alongside(own, null);
    try {
      const all = of(await load());
      own.forEach((tile, index) => [...tile.children].forEach((part, place) => { part.textContent = all[index][place]; }));
    } catch {
      if (signal.aborted) return;
      for (const tile of own) tile.children[1].textContent = "–"; // a part below says why
      alongside(own, () => put(own, load, of));
    }
  };
  const [requests, errorTile, refused, today] = tiles;
  return Promise.all([
    put([requests, errorTile], () => ask("daily_activity", theirs), activity.totals),
    put([refused], () => ask("books", theirs), (answer) => [refusedTotal(answer)]),
    put([today], () => signIns.today(api, { signal }), (answer) => [signIns.todayTotal(answer)]),
  ]);
}

/** Asks each question once, however many parts want its answer; one that failed is asked anew. */
function asker(signal) {
  const asked = new Map();
  return (path, parameters = {}, waiting = () => {}) => {
    const key = `${path} ${JSON.stringify(parameters)}`;
    if (!asked.has(key)) {
      const listeners = new Set();
      const tell = (why) => listeners.forEach((listener) => listener(why));
      const answer = api.get(path, parameters, { signal, waiting: tell });
      answer.catch(() => asked.delete(key));
      asked.set(key, { answer, listeners });
    }
    const { answer, listeners } = asked.get(key);
    listeners.add(waiting);
    return answer;
  };
}

// The stage is public: it is there before anybody has signed in.
fetch("health").then((response) => response.json()).then(({ stage }) => {
  $("stage").textContent = stage;
  $("stage").hidden = false;
  document.title = `Atlas ${stage}`;
}).catch(() => {});

signIn(() => session.takeFragment());
