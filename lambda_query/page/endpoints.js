// What was asked for most, and where the errors were.

import { legend } from "./charts.js";
import { h, number, percent, sum } from "./dom.js";
import { bar, barColumn, table } from "./tables.js";

const FIRST = 12;
const milliseconds = (value) => (value === null || value === undefined ? "–" : `${number(Math.round(value))} ms`);

/** On a phone, method and application are under the endpoint, not beside it. */
const NAMED = [
  { title: "Endpoint", of: (row) => [h("span", { class: "code" }, row.endpoint), h("span", { class: "phone quiet" }, `${row.request_type}, ${row.app_name}`)], head: true, class: "name" },
  { title: "Method", of: (row) => row.request_type, class: "not-phone" },
  { title: "Application", of: (row) => row.app_name, class: "not-phone" },
];

export function endpoints(answer) {
  if (!answer.items.length) return "Nothing was published of these days.";
  const largest = Math.max(...answer.items.map((row) => row.requests));
  const byRequests = { title: "Requests", of: (row) => number(row.requests), by: (row) => row.requests, numeric: true };
  return [
    legend([{ name: "Requests", colour: "requests" }, { name: "of them errors", colour: "errors" }]),
    table({
      caption: "Endpoints with the most requests",
      rows: answer.items,
      first: FIRST,
      sorted: byRequests,
      columns: [
        ...NAMED,
        { ...barColumn((row) => bar(row.requests, largest, row.errors)), class: "bar-cell not-phone" },
        byRequests,
        { title: "Errors", of: (row) => number(row.errors), by: (row) => row.errors, numeric: true },
        { title: "Error rate", of: (row) => percent(row.error_rate), by: (row) => row.error_rate, numeric: true },
        { title: "95% within", of: (row) => milliseconds(row.p95_duration_ms), by: (row) => row.p95_duration_ms, numeric: true },
      ],
    }),
  ];
}

export function errors(answer) {
  if (!answer.items.length) return "No errors on this day.";
  const largest = Math.max(...answer.items.map((row) => row.errors));
  const byErrors = { title: "Errors", of: (row) => number(row.errors), numeric: true };
  return [
    table({
      caption: `Where the ${number(sum(answer.items, (row) => row.errors))} errors of the day were`,
      rows: answer.items,
      first: FIRST,
      columns: [
        ...NAMED,
        { title: "Status", of: (row) => row.status_class },
        { ...barColumn((row) => bar(row.errors, largest, row.errors)), class: "bar-cell not-phone" },
        byErrors,
      ],
    }),
  ];
}
