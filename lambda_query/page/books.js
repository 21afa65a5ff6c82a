// The books: of every day, what came in and what became of it, and whether that is all of it.

import { briefDay, count, dayInWords, groups, h, icon, number, percent, sum } from "./dom.js";
import { openedDay } from "./day.js";
import { addDays } from "./days.js";
import { numbers, table } from "./tables.js";

const FIRST_DAYS = 14;
const accounted = (row) => row.published + (row.duplicates ?? 0) + row.rejected;

/** One day's books over all formats: `rows` as published, `failed` those of a last attempt that failed. */
class Day {
  constructor(date, all) {
    this.date = date;
    this.all = all;
    this.rows = all.filter((row) => row.outcome === "published");
    this.failed = all.filter((row) => row.outcome === "failed");
    // A day that never was published has the numbers of the attempt.
    const told = this.rows.length ? this.rows : this.failed;
    for (const name of ["records_in", "published", "duplicates", "rejected"]) this[name] = sum(told, (row) => row[name]);
    /** Records of formats that do not balance, by which they do not: too few and too many never cancel out. */
    this.off = sum(told, (row) => Math.abs(row.records_in - accounted(row)));
    this.isBalanced = this.rows.length > 0 && this.rows.every((row) => row.balanced);
  }

  get mark() {
    if (!this.rows.length) return ["wrong", "Not published"];
    if (!this.isBalanced) return ["wrong", this.off ? `Out by ${number(this.off)}` : "Out of balance"];
    return this.failed.length ? ["wrong", "Attempt failed"] : ["ok", "Balanced"];
  }
}

/** The days that an answer of /books has, by date. */
export function daysOf(answer) {
  return new Map([...groups(answer.items, (row) => row.date)].map(([date, rows]) => [date, new Day(date, rows)]));
}

/** [title, number, remark] for the top of the page. */
export function refusedTotal(answer) {
  const published = answer.items.filter((row) => row.outcome === "published");
  const [refused, records] = [sum(published, (row) => row.rejected), sum(published, (row) => row.records_in)];
  return ["Refused records", number(refused), records ? `${percent(refused / records)} of what came in` : ""];
}

/** The whole part. `opening` is {api, signal, day, opened(day or null)}: which day is open, and whom to tell. */
export function books(days, answer, opening) {
  const found = daysOf(answer);
  if (!found.size) return "None of these days was ever processed.";
  const largest = Math.max(...[...found.values()].map((day) => Math.max(day.records_in, accounted(day))));
  const lines = newestFirst(days, found).map((entry) => (entry instanceof Day ? line(entry, largest, opening) : gap(entry)));
  return [
    equation([...found.values()]),
    heads(),
    list(lines, opening.day),
    numbers("The numbers, by format", () => byFormat([...found.values()].flatMap((day) => day.all), true)),
  ];
}

/** Days, and instead of those that were never processed the spans {from, to} of them. */
function newestFirst(days, found) {
  const entries = [];
  for (const date of [...days].reverse()) {
    const last = entries.at(-1);
    if (found.has(date)) entries.push(found.get(date));
    else if (last && !(last instanceof Day) && last.from === addDays(date, 1)) last.from = date;
    else entries.push({ from: date, to: date });
  }
  return entries;
}

function list(lines, opened) {
  const items = h("ol", { class: "days", role: "list" }, lines);
  const late = lines.slice(FIRST_DAYS).filter((item) => item.dataset.day !== opened);
  if (!late.length) return items;
  for (const item of late) item.hidden = true;
  const all = h("button", { type: "button", class: "more", onclick: () => {
    for (const item of late) item.hidden = false;
    all.remove();
    late[0].tabIndex = -1;
    late[0].focus();
  } }, `Show ${number(late.length)} more`);
  return [items, all];
}

/** The sum of all days, which is also what the colours mean. */
function equation(days) {
  const published = days.filter((day) => day.rows.length);
  const of = (name) => number(sum(published, (day) => day[name]));
  const sums = sum(published, (day) => day.records_in - accounted(day)) === 0;
  const bad = days.filter((day) => day.mark[0] !== "ok");
  const term = (sign, name, word) => h("span", { class: "term" }, h("i", {}, sign), h("span", { class: `swatch ${name}` }), h("b", {}, of(name)), ` ${word}`);
  const verdict = bad.length
    ? [icon("wrong"), `${bad.length === days.length ? "No day" : `${number(days.length - bad.length)} of ${count(days.length, "day")}`} in order. Look at ${listed(bad)}.`]
    : [icon("ok"), `Balanced${["", " on both days"][days.length - 1] ?? ` on all ${number(days.length)} days`}: every record is accounted for.`];
  return [
    h("p", { class: "equation" },
      h("span", { class: "term" }, h("b", {}, of("records_in")), " records in"),
      term(sums ? "=" : "≠", "published", "published"), term("+", "duplicates", "duplicates"), term("+", "rejected", "refused")),
    h("p", { class: bad.length ? "verdict wrong" : "verdict ok" }, verdict),
  ];
}

function listed(days) {
  const names = days.slice(0, 3).map((day) => briefDay(day.date));
  return days.length > 3 ? `${names.join(", ")} and ${number(days.length - 3)} more` : names.join(" and ");
}

/** Above the columns of a wide screen; each line says the same in words to a screen reader. */
function heads() {
  return h("div", { class: "day heads", "aria-hidden": "true" },
    ["", "Day", "", "Records in", "Published", "Duplicates", "Refused", ""].map((text) => h("span", {}, text)));
}

function gap({ from, to }) {
  const text = from === to ? dayInWords(to) : `${briefDay(from)} to ${dayInWords(to)}`;
  return h("li", { class: "day gap" }, icon("missing"), h("span", {}, text), h("span", {}, from === to ? "Never processed" : "None of these days was ever processed"));
}

function line(day, largest, opening) {
  const id = `day-${day.date}`;
  const [kind, words] = day.mark;
  const term = (value, sign, word) => h("span", { class: "term" }, sign && [h("i", {}, sign), " "], number(value), h("span", { class: "word" }, ` ${word}`));
  const button = h("button", { type: "button", class: "day", "aria-expanded": "false", "aria-controls": id, onclick: toggle },
    icon("open"), h("span", { class: "date" }, dayInWords(day.date)), barOf(day, largest),
    h("span", { class: "terms" },
      term(day.records_in, "", "records in"), " ", term(day.published, day.off ? "≠" : "=", "published"), " ",
      term(day.duplicates, "+", "duplicates"), " ", term(day.rejected, "+", "refused")),
    h("span", { class: `mark ${kind}` }, icon(kind), words));
  const place = h("div", { id, class: "day-place", hidden: true });
  const item = h("li", { "data-day": day.date }, button, place);

  function toggle() {
    const opens = place.hidden;
    place.hidden = !opens;
    button.setAttribute("aria-expanded", `${opens}`);
    if (opens) place.replaceChildren(...openedDay(day, byFormat(day.all, false), opening));
    opening.opened(opens ? day.date : null);
  }

  if (opening.day === day.date) toggle();
  return item;
}

/** As long as what came in, filled with what became of it; what nobody can account for stays an empty, dashed piece. */
function barOf(day, largest) {
  const sumOf = accounted(day);
  const whole = Math.max(day.records_in, sumOf);
  const piece = (name, value) => value > 0 && h("span", { class: name, style: { "--length": `${(100 * value) / whole}%` } });
  return h("span", { class: "books-bar", "aria-hidden": "true" },
    h("span", { class: "whole", style: { "--length": `${largest ? (100 * whole) / largest : 0}%` } },
      piece("published", day.published), piece("duplicates", day.duplicates), piece("rejected", day.rejected),
      piece("lost", day.records_in - sumOf),
      sumOf > day.records_in && h("span", { class: "came-in", style: { "--at": `${(100 * day.records_in) / whole}%` } })));
}

function byFormat(rows, withDay) {
  return table({
    caption: withDay ? "The books by day and format" : "The books by format",
    rows,
    columns: [
      ...(withDay ? [{ title: "Day", of: (row) => dayInWords(row.date), head: true }] : []),
      { title: "Format", of: (row) => row.raw_format, head: !withDay },
      { title: "Files", of: (row) => number(row.files), numeric: true },
      { title: "Records in", of: (row) => number(row.records_in), numeric: true },
      { title: "Published", of: (row) => number(row.published), numeric: true },
      { title: "Duplicates", of: (row) => number(row.duplicates), numeric: true },
      { title: "Refused", of: (row) => number(row.rejected), numeric: true },
      { title: "Books", of: (row) => verdictOf(row), class: "nowrap" },
    ],
  });
}

function verdictOf(row) {
  const off = row.records_in - accounted(row);
  const by = off > 0 ? `, ${number(off)} missing` : off < 0 ? `, ${number(-off)} too many` : "";
  if (row.outcome === "failed") return h("span", { class: "mark wrong" }, icon("wrong"), `Failed attempt${row.duplicates === null ? "" : by}`);
  return row.balanced ? h("span", { class: "mark ok" }, icon("ok"), "Balanced") : h("span", { class: "mark wrong" }, icon("wrong"), `Out of balance${by}`);
}
