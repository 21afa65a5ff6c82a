// Sign-ins: a day of them by source, and today's in the zone of whoever looks.

import { chart } from "./charts.js";
import { count, dayInWords, groups, h, number, sum } from "./dom.js";
import { numbers, table } from "./tables.js";

const SOURCES = { logs: ["Log files", "logins-logs"], events: ["Events API", "logins-events"] };

export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Today's, in this browser's zone, or in UTC if the API does not know that zone. */
export async function today(api, options) {
  try {
    return await api.get("logins_today", { zone: zone() }, options);
  } catch (fault) {
    if (fault.status !== 400) throw fault;
    return api.get("logins_today", { zone: "UTC" }, options);
  }
}

/** [title, number, remark] for the top of the page. */
export function todayTotal(answer) {
  const by = answer.logins ? `by ${count(answer.users, "user")} ` : "";
  return ["Sign-ins today", number(answer.logins), `${by}so far, since midnight in ${answer.zone.replaceAll("_", " ")}`];
}

const when = () => h("p", { class: "quiet" }, "What applications send to the events API counts within minutes, what log files say once their day is published.");

export function logins(days, answer) {
  if (!answer.items.length) return "Nobody signed in on these days, as far as they are published.";
  const rows = groups(answer.items, (row) => row.source);
  const there = Object.keys(SOURCES).filter((source) => rows.has(source));
  const at = (source, day) => rows.get(source).find((row) => row.date === day) ?? { logins: 0, users: 0 };
  const all = there.map((source) => `${number(sum(rows.get(source), (row) => row.logins))} by ${SOURCES[source][0]}`).join(", ");
  const byDay = () => table({
    caption: "Sign-ins a day",
    rows: days,
    columns: [
      { title: "Day", of: dayInWords, head: true },
      ...there.flatMap((source) => [
        { title: SOURCES[source][0], of: (day) => number(at(source, day).logins), numeric: true },
        { title: "Users", of: (day) => number(at(source, day).users), numeric: true },
      ]),
    ],
  });
  if (days.length === 1) return [byDay(), when()];
  return [
    chart({
      label: `Bars of sign-ins a day: ${all}. The table below has the numbers.`,
      points: days,
      panels: [there.length === 1 ? SOURCES[there[0]][0] : ""],
      series: there.map((source) => ({
        name: SOURCES[source][0],
        colour: SOURCES[source][1],
        values: days.map((day) => at(source, day).logins),
        more: days.map((day) => count(at(source, day).users, "user")),
      })),
    }),
    numbers("The numbers", byDay),
    when(),
  ];
}
