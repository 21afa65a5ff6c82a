// One day, opened: its books by format, and every refused record with its reason, its place and its text.

import { count, groups, h, icon, longDay, number } from "./dom.js";
import { Panel } from "./panel.js";

const PAGE = 50;
const SHORT_TEXT = 400;
/** Characters of a record that are shown at once. */

/** What is under a day's line. */
export function openedDay(day, formats, { api, signal }) {
  const section = h("section", { "aria-label": `Refused records of ${longDay(day.date)}` }, h("h3", {}, "Refused records"));
  const panel = new Panel(section);
  const load = (options) => api.get(`refusals/${day.date}`, { limit: PAGE }, options);
  const show = () => panel.show(load, (answer) => refusals(day.date, answer, api, signal, show), signal);
  show();
  return [remark(day), formats, section].filter(Boolean);
}

function remark(day) {
  if (!day.rows.length) return note("This day is not published. The last attempt at it failed: its books did not balance.");
  if (day.failed.length) return note("The last attempt at this day failed: its books did not balance. What was published before it stands.");
  if (!day.isBalanced) return note("The books of this day do not balance. Its numbers are not to be trusted until somebody has looked.");
  return null;
}

const note = (text) => h("p", { class: "verdict wrong" }, icon("wrong"), text);

function refusals(date, answer, api, signal, again) {
  if (!answer.in_all) return "No record was refused on this day.";
  const list = h("div", { class: "refusals" });
  const shown = h("p", { class: "quiet" });
  const more = h("button", { type: "button", class: "more" });
  const trouble = h("p", { class: "wrong", role: "alert" });
  let at = 0;

  function add({ items, in_all: all, next }) {
    const added = [...groups(items, (item) => item.source_file)].map(([file, rows]) => ofFile(list, file, rows));
    at += items.length;
    shown.textContent = at < all ? `The first ${number(at)} of ${number(all)}` : count(all, "record");
    more.hidden = !next;
    more.textContent = `Show ${number(Math.min(PAGE, all - at))} more`;
    more.onclick = () => follow(next);
    return added[0];
  }

  async function follow(next) {
    more.disabled = true;
    trouble.textContent = "";
    try {
      const first = add(await api.get(`refusals/${date}`, { limit: PAGE, next }, { signal }));
      first?.focus();
    } catch (fault) {
      if (signal.aborted) return;
      if (fault.status === 409 || fault.status === 410) again(); // the day was processed anew: these are other records
      else trouble.textContent = fault.message;
    } finally {
      more.disabled = false;
    }
  }

  add(answer);
  return [shown, list, trouble, more];
}

/** Appends a file's records, under its name unless that is there already; the first one's element. */
function ofFile(list, file, rows) {
  let records = list.lastElementChild;
  if (records?.dataset.file !== file) {
    records = h("ol", { "data-file": file, "aria-label": file });
    list.append(h("h4", {}, file), records);
  }
  const items = rows.map(record);
  records.append(...items);
  return items[0];
}

function record(row) {
  const where = row.source_line === null ? "place unknown" : `line ${number(row.source_line)}`;
  return h("li", { tabindex: -1 },
    h("p", { class: "where" }, where),
    h("div", {},
      h("p", {}, h("code", {}, row.reason), row.detail ? [" (", h("code", {}, row.detail), ")"] : "", h("span", { class: "quiet" }, ` ${row.meaning}`)),
      text(row)));
}

function text(row) {
  if (!row.raw) return null;
  const code = h("code", {}, row.raw.slice(0, SHORT_TEXT));
  const block = h("pre", {}, code);
  if (row.raw.length <= SHORT_TEXT) return [block, cut(row)];
  const rest = h("button", { type: "button", class: "link", onclick: () => { code.textContent = row.raw; rest.replaceWith(cut(row) ?? ""); } },
    `Show all ${number(row.raw.length)} characters`);
  return [block, rest];
}

const cut = (row) => row.raw_cut && h("p", { class: "quiet" }, "The record goes on; only its beginning is here.");
