// Elements, icons, numbers and days in words. Text is only ever set as text, never parsed as HTML.

/** An element. Properties that begin with "on" are listeners; null, undefined and false leave an attribute out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const ICONS = {
  ok: "M3.5 8.5 6.5 11.5 12.5 4.5",
  wrong: "M8 1.8 15 14.2H1Z M8 6.2V10 M8 11.9V12.3",
  open: "M6 3.5 10.5 8 6 12.5",
  missing: "M3 8H13",
};

/** A small drawing beside words that say the same, hence hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 16 16", "aria-hidden": "true", class: `icon ${name}` })) svg.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const NUMBER = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const words = (options) => new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC" });
const DAY = words({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
const BRIEF_DAY = words({ day: "numeric", month: "short" });
const LONG_DAY = words({ weekday: "long", day: "numeric", month: "long", year: "numeric" });

export const number = (value) => (value === null || value === undefined ? "–" : NUMBER.format(value));
export const shortNumber = (value) => SHORT.format(value);
/** "1 day", "1,204 days" */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;
/** A share of 0 to 1. What is not nothing never reads as 0 %, what is not all never as 100 %. */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  if (share > 0 && share < 0.0001) return "< 0.01%";
  if (share < 1 && share > 0.9999) return "> 99.99%";
  const digits = share === 0 || share === 1 ? 0 : share < 0.01 || share > 0.99 ? 2 : 1;
  return `${(share * 100).toFixed(digits)}%`;
}
const instant = (day) => new Date(`${day}T00:00:00Z`);
export const dayInWords = (day) => DAY.format(instant(day));
export const briefDay = (day) => BRIEF_DAY.format(instant(day));
export const longDay = (day) => LONG_DAY.format(instant(day));
export const sum = (rows, of) => rows.reduce((total, row) => total + (of(row) ?? 0), 0);

/** Rows under what `of` says of each, in the order in which that first comes up. */
export function groups(rows, of) {
  const found = new Map();
  for (const row of rows) found.set(of(row), [...(found.get(of(row)) ?? []), row]);
  return found;
}
