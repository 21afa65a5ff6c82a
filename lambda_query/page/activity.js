// Requests and errors a day, by status class, application and device; and the numbers at the top.

import { chart } from "./charts.js";
import { dayInWords, h, number, percent, sum } from "./dom.js";
import { numbers, shares, table } from "./tables.js";

const ABSENT = "never processed";
const CLASSES = [
  ["2xx", "status-2xx"], ["3xx", "status-3xx"], ["1xx", "status-1xx"], ["(none)", "status-none"], ["4xx", "status-4xx"], ["5xx", "status-5xx"],
];
const EMPTY = "Nothing was published of these days.";

/** The rows of a day each, null for those that were never processed. */
function byDay(days, answer) {
  const rows = new Map(answer.items.map((row) => [row.date, row]));
  return days.map((day) => rows.get(day) ?? null);
}

const classOf = (code) => (/^[1-5]\d\d$/.test(code) ? `${code[0]}xx` : "(none)");

/** Counts of all days together. */
function total(rows, column) {
  const counts = {};
  for (const row of rows) for (const [name, value] of Object.entries(row[column])) counts[name] = (counts[name] ?? 0) + value;
  return counts;
}

export const hasRequests = (answer) => answer.items.some((row) => row.total_requests > 0);

export function requestsAndErrors(days, answer) {
  if (!answer.items.length) return EMPTY;
  const rows = byDay(days, answer);
  const [requests, errors] = [sum(answer.items, (row) => row.total_requests), sum(answer.items, (row) => row.total_errors)];
  return [
    chart({
      label: `Bars of requests and of errors a day: ${number(requests)} requests in all, ${number(errors)} of them errors. The table below has the numbers.`,
      points: days,
      panels: ["Requests", "Errors"],
      absent: ABSENT,
      series: [
        { name: "Requests", colour: "requests", values: rows.map((row) => row && row.total_requests) },
        { name: "Errors", colour: "errors", panel: 1, values: rows.map((row) => row && row.total_errors), more: rows.map((row) => row && percent(row.error_rate)) },
      ],
    }),
    numbers("The numbers", () => table({
      caption: "Requests and errors a day",
      rows: days.map((day, index) => ({ day, row: rows[index] })),
      columns: [
        { title: "Day", of: ({ day }) => dayInWords(day), head: true },
        { title: "Requests", of: ({ row }) => (row ? number(row.total_requests) : ABSENT), numeric: true },
        { title: "Errors", of: ({ row }) => number(row?.total_errors), numeric: true },
        { title: "Error rate", of: ({ row }) => percent(row?.error_rate), numeric: true },
        { title: "Clients (IPs)", of: ({ row }) => number(row?.unique_ips), numeric: true },
      ],
    })),
    h("p", { class: "quiet" }, "An error is a status of 400 or above, or a message of level ERROR or worse."),
  ];
}

export function statusClasses(days, answer) {
  if (!hasRequests(answer)) return EMPTY;
  const rows = byDay(days, answer).map((row) => row && classes(row.requests_by_status));
  const there = CLASSES.filter(([name]) => rows.some((row) => row?.[name]));
  const codes = total(answer.items, "requests_by_status");
  const everyCode = numbers("Every status code", () => shares({ caption: "Requests by status code", name: "Status", counts: codes, first: 12 }));
  if (days.length === 1) return [shares({ caption: "Requests by class of status", name: "Status", counts: classes(codes) }), everyCode];
  const all = Object.entries(classes(codes)).map(([name, value]) => `${name} ${number(value)}`).join(", ");
  return [
    chart({
      label: `Bars of requests a day by class of status: ${all}. The table below has the numbers.`,
      points: days,
      panels: [""],
      absent: ABSENT,
      series: there.map(([name, colour]) => ({ name, colour, values: rows.map((row) => row && (row[name] ?? 0)) })),
    }),
    numbers("The numbers", () => table({
      caption: "Requests a day by class of status",
      rows: days.map((day, index) => ({ day, row: rows[index] })),
      columns: [
        { title: "Day", of: ({ day }) => dayInWords(day), head: true },
        ...there.map(([name]) => ({ title: name, of: ({ row }) => (row ? number(row[name] ?? 0) : "–"), numeric: true })),
      ],
    })),
    everyCode,
  ];
}

function classes(codes) {
  const counts = {};
  for (const [code, value] of Object.entries(codes)) counts[classOf(code)] = (counts[classOf(code)] ?? 0) + value;
  return counts;
}

/** One of the maps, as bars over all days and as numbers of each: `requests_by_app`, say. */
export function shareOf(days, answer, column, name) {
  if (!hasRequests(answer)) return EMPTY;
  const all = Object.entries(total(answer.items, column)).sort(([, one], [, other]) => other - one);
  const rows = byDay(days, answer);
  return [
    shares({ caption: `Requests by ${name.toLowerCase()}`, name, counts: all }),
    days.length > 1 && numbers("Day by day", () => table({
      caption: `Requests a day by ${name.toLowerCase()}`,
      rows: days.map((day, index) => ({ day, counts: rows[index]?.[column] })),
      columns: [
        { title: "Day", of: ({ day }) => dayInWords(day), head: true },
        ...all.map(([title]) => ({ title, of: ({ counts }) => (counts ? number(counts[title] ?? 0) : "–"), numeric: true })),
      ],
    })),
  ];
}

/** [title, number, remark] of each number at the top that daily_activity has. */
export function totals(answer) {
  const requests = sum(answer.items, (row) => row.total_requests);
  const errors = sum(answer.items, (row) => row.total_errors);
  const days = answer.items.length;
  return [
    ["Requests", number(requests), days > 1 ? `${number(Math.round(requests / days))} a day` : ""],
    ["Errors", number(errors), requests ? `${percent(errors / requests)} of the requests` : ""],
  ];
}
