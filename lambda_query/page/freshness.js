// How far the numbers go: the last day that is published, and how many days are missing after it.

import { count, dayInWords, h, icon } from "./dom.js";

/** Fills the line of the page's head that says so. */
export function showFreshness(element, answer) {
  const { last_published: last, days_behind: behind, days_missing: missing } = answer;
  if (!last) {
    element.replaceChildren(icon("missing"), "No day is published yet");
    return;
  }
  const fresh = behind === 0;
  const late = fresh ? ": up to date" : `, ${count(behind, "day")} behind`;
  // The days that are behind are missing too, as far as they are among the last 30.
  const gaps = missing > behind && `, ${count(missing - behind, "day")} before never processed`;
  element.replaceChildren(icon(fresh ? "ok" : "wrong"), h("span", {}, "Published up to ", h("strong", {}, dayInWords(last)), late, gaps));
}
