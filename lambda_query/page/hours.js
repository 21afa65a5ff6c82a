// One day, hour by hour.

import { chart } from "./charts.js";
import { groups, number, sum } from "./dom.js";
import { numbers, table } from "./tables.js";

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);
const clock = (hour) => `${String(hour).padStart(2, "0")}:00`;
const milliseconds = (value) => (value === null ? "–" : number(Math.round(value)));

export function hours(answer) {
  if (!answer.items.length) return "Nothing was published of this day.";
  const rows = groups(answer.items, (row) => row.hour);
  const of = (column) => HOURS.map((hour) => sum(rows.get(hour) ?? [], (row) => row[column]));
  const [requests, fourth, fifth] = [of("requests"), of("errors_4xx"), of("errors_5xx")];
  return [
    chart({
      label: `Bars of requests and of errors an hour: ${number(sum(answer.items, (row) => row.requests))} requests. The table below has the numbers.`,
      points: HOURS,
      pointName: (hour) => `${clock(hour)} to ${clock(hour + 1)} UTC`,
      pointLabel: (hour) => clock(Number(hour)),
      panels: ["Requests", "Errors"],
      series: [
        { name: "Requests", colour: "requests", values: requests },
        { name: "Status 4xx", colour: "status-4xx", values: fourth, panel: 1 },
        { name: "Status 5xx", colour: "status-5xx", values: fifth, panel: 1 },
      ],
    }),
    numbers("The numbers", () => table({
      caption: "Requests and errors an hour",
      rows: HOURS,
      columns: [
        { title: "Hour (UTC)", of: clock, head: true },
        { title: "Requests", of: (hour) => number(requests[hour]), numeric: true },
        { title: "Status 4xx", of: (hour) => number(fourth[hour]), numeric: true },
        { title: "Status 5xx", of: (hour) => number(fifth[hour]), numeric: true },
      ],
    })),
    numbers("By application, with durations", () => table({
      caption: "Each hour by application and kind of log",
      rows: answer.items,
      first: 48,
      columns: [
        { title: "Hour (UTC)", of: (row) => clock(row.hour), head: true },
        { title: "Application", of: (row) => row.app_name },
        { title: "Log", of: (row) => row.log_type },
        { title: "Requests", of: (row) => number(row.requests), numeric: true },
        { title: "4xx", of: (row) => number(row.errors_4xx), numeric: true },
        { title: "5xx", of: (row) => number(row.errors_5xx), numeric: true },
        { title: "Clients (IPs)", of: (row) => number(row.unique_ips), numeric: true },
        { title: "Half within, ms", of: (row) => milliseconds(row.p50_duration_ms), numeric: true },
        { title: "95% within, ms", of: (row) => milliseconds(row.p95_duration_ms), numeric: true },
      ],
    })),
  ];
}
