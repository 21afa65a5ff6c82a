// Tables: with the numbers of a chart, with bars beside their numbers, and such as a reader may sort.

import { h, number, percent, sum } from "./dom.js";

/**
 * A table. Of a column: `title`; `of(row)`, its text or elements; `numeric`; `class`; `by(row)`, what rows are
 * sorted by, if they may be; `head`, if it names the row. Where `first` rows are given, the others come on demand.
 */
export function table({ caption, columns, rows, first = Infinity, sorted = null }) {
  const body = h("tbody");
  const heads = columns.map((column) => h("th", { scope: "col", class: classOf(column) }, headOf(column)));
  const more = h("button", { type: "button", class: "more", onclick: all }, `Show all ${number(rows.length)}`);
  let order = sorted;

  function all() {
    const next = first;
    first = Infinity;
    fill();
    body.rows[next].tabIndex = -1;
    body.rows[next].focus();
  }

  function headOf(column) {
    if (!column.by) return column.title;
    return h("button", { type: "button", class: "sort", onclick: () => { order = column; fill(); } }, column.title);
  }

  function fill() {
    const inOrder = order ? [...rows].sort((one, other) => (order.by(other) ?? -1) - (order.by(one) ?? -1)) : rows;
    body.replaceChildren(...inOrder.slice(0, first).map((row) => rowOf(columns, row)));
    heads.forEach((head, index) => {
      if (columns[index].by) head.setAttribute("aria-sort", columns[index] === order ? "descending" : "none");
    });
    more.hidden = rows.length <= first;
  }

  fill();
  const element = h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, heads)), body);
  return h("div", {}, h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, element), more);
}

const classOf = (column) => [column.numeric && "numeric", column.class].filter(Boolean).join(" ") || null;

function rowOf(columns, row) {
  return h("tr", {}, columns.map((column) => {
    const properties = { class: classOf(column) };
    return column.head ? h("th", { ...properties, scope: "row" }, column.of(row)) : h("td", properties, column.of(row));
  }));
}

/** What a chart shows, as a table that is made when it is opened. */
export function numbers(title, make) {
  const details = h("details", { class: "numbers" }, h("summary", {}, title));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(make());
  });
  return details;
}

/** Names with their counts, the largest first: bar, number, share of all. `counts` is an object or pairs. */
export function shares({ caption, name, counts, first = 8 }) {
  const rows = (Array.isArray(counts) ? counts : Object.entries(counts)).sort(([, one], [, other]) => other - one);
  const total = sum(rows, ([, value]) => value);
  const largest = rows.length ? rows[0][1] : 0;
  return table({
    caption,
    rows,
    first,
    columns: [
      { title: name, of: ([text]) => text, head: true, class: "name" },
      barColumn(([, value]) => bar(value, largest)),
      { title: "Requests", of: ([, value]) => number(value), numeric: true },
      { title: "Share", of: ([, value]) => percent(total ? value / total : null), numeric: true },
    ],
  });
}

/** The column of a row's bar, which says nothing that the numbers beside it do not. */
export const barColumn = (of) => ({ title: h("span", { class: "unseen" }, "Bar"), of, class: "bar-cell" });

/** A bar as long as its part of the largest value; of `marked` of them, the end is marked. */
export function bar(value, largest, marked = 0) {
  return h("span", { class: "bar", "aria-hidden": "true", style: { "--length": `${largest ? (100 * value) / largest : 0}%` } },
    marked > 0 && h("span", { class: "bar-marked", style: { "--length": `${(100 * marked) / value}%` } }));
}
