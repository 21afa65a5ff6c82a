// UTC days as the API writes them (YYYY-MM-DD), and the range of them that the page's address holds.

export const LONGEST = 366;
/** Days that one request may be about; the API's own bound. */

const MS = 86_400_000;
const parse = (day) => (/^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : NaN);

export const isDay = (text) => typeof text === "string" && !Number.isNaN(parse(text)) && addDays(text, 0) === text;
export const addDays = (day, days) => new Date(parse(day) + days * MS).toISOString().slice(0, 10);
export const length = ({ from, to }) => Math.round((parse(to) - parse(from)) / MS) + 1;
export const every = (range) => Array.from({ length: length(range) }, (_, index) => addDays(range.from, index));
/** The range of so many days that ends with `to`. */
export const until = (to, days) => ({ from: addDays(to, 1 - days), to });

/** What is wrong with a range, in words, or nothing. */
export function fault({ from, to }) {
  if (!isDay(from) || !isDay(to)) return "Enter both days, as YYYY-MM-DD.";
  if (from > to) return "The first day is after the last one.";
  if (length({ from, to }) > LONGEST) return `These are ${length({ from, to })} days. At most ${LONGEST} can be shown.`;
  return "";
}

/** The range, and the open day, that an address's query holds; null where it holds none that is sound. */
export function fromAddress(query) {
  const given = new URLSearchParams(query);
  const range = { from: given.get("from"), to: given.get("to") };
  const sound = !fault(range);
  const day = given.get("day");
  return { range: sound ? range : null, day: isDay(day) ? day : null };
}

export function toAddress({ range, day }) {
  const query = new URLSearchParams({ ...(range ?? {}), ...(day ? { day } : {}) }).toString();
  return query ? `?${query}` : location.pathname;
}
