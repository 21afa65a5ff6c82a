// A part of the page that asks for its own numbers: it is loading, or shows them, or has none, or says what failed.

import { h, icon } from "./dom.js";

const failed = new Map();
/** How to try again, of every part that has failed: what failed together is tried again together. */

/** What has no button of its own is tried again with the rest, by `again()`; null if it has not failed after all. */
export function alongside(key, again) {
  if (again) failed.set(key, again);
  else failed.delete(key);
}

export class Panel {
  #section;
  #body;

  /** In a section that has a heading. */
  constructor(section) {
    this.#section = section;
    this.#body = h("div", { class: "body" });
    this.#section.append(this.#body);
  }

  set hidden(hidden) {
    this.#section.hidden = hidden;
  }

  /**
   * Loads and shows. `load({signal, waiting})` gives the answer; `fill(answer)` gives elements, or a sentence that
   * says why there are none. What is said of an earlier range never stays beside a newer one. Whether it worked.
   */
  async show(load, fill, signal) {
    failed.delete(this);
    this.#loading();
    try {
      const answer = await load({ signal, waiting: (why) => { if (!signal.aborted) this.#waiting(why); } });
      if (signal.aborted) return false;
      const content = fill(answer);
      this.#put(typeof content === "string" ? [h("p", { class: "state" }, content)] : content);
      return true;
    } catch (fault) {
      if (signal.aborted) return false;
      this.fail(fault, () => this.show(load, fill, signal));
      return false;
    }
  }

  #put(content) {
    this.#body.replaceChildren(...[content].flat(Infinity).filter(Boolean));
    this.#body.style.minHeight = "";
    this.#section.removeAttribute("aria-busy");
  }

  #loading() {
    this.#body.style.minHeight = `${this.#body.offsetHeight}px`; // the rest of the page stays where it is
    this.#section.setAttribute("aria-busy", "true");
    this.#body.replaceChildren(h("p", { class: "state loading" }, "Loading …"));
  }

  #waiting(why) {
    this.#body.querySelector(".loading")?.replaceChildren(why);
  }

  /** Says what failed; `again()` tries again. */
  fail(fault, again) {
    failed.set(this, again);
    if (!fault.title) console.error(fault); // a fault of this page, not an answer of the API
    const retry = async () => {
      const heading = this.#section.querySelector("h2, h3");
      heading.tabIndex = -1;
      heading.focus(); // the button goes
      await Promise.all([...failed.values()].map((retried) => retried()));
    };
    const said = [h("p", {}, h("strong", {}, fault.title ?? "This part of the page failed")), h("p", {}, fault.detail ?? fault.message)];
    const button = h("button", { type: "button", onclick: retry }, "Try again");
    this.#put([h("div", { class: "state failure" }, icon("wrong"), h("div", {}, said, button))]);
  }
}
