// Charts by Apache ECharts, drawn as SVG in the colours of page.css. Each has words and a table beside it.

import { BarChart } from "echarts/charts";
import { GridComponent, TitleComponent, TooltipComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

import { briefDay, dayInWords, h, number, shortNumber } from "./dom.js";

use([BarChart, GridComponent, SVGRenderer, TitleComponent, TooltipComponent]); // of the library, no more than that

const darkness = matchMedia("(prefers-color-scheme: dark)");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const drawn = new Set();

darkness.addEventListener("change", () => drawn.forEach((draw) => draw()));

/**
 * A chart. `label` says in words what it shows; `series` are {name, colour, values, kind?, panel?, share?}, one value
 * (or null) for each of `points`, stacked within their panel. `panels` are the titles of charts one above the other.
 */
export function chart({ label, points, pointName = dayInWords, pointLabel = briefDay, panels, series, absent }) {
  const element = h("div", { class: panels.length > 1 ? "chart tall" : "chart", role: "img", "aria-label": label });
  let instance = null;
  const draw = () => instance?.setOption(options({ points, pointName, pointLabel, panels, series, absent }), { notMerge: true });
  const watch = new ResizeObserver(() => {
    if (!element.isConnected) {
      watch.disconnect();
      drawn.delete(draw);
      instance?.dispose();
    } else if (instance) instance.resize();
    else if (element.clientWidth) {
      instance = init(element, null, { renderer: "svg" });
      drawn.add(draw);
      draw();
    }
  });
  watch.observe(element);
  // Where each chart has one colour, its title says what that is.
  return h("figure", {}, series.length > panels.length && h("figcaption", {}, legend(series)), element);
}

/** What each colour means: of {name, colour}. */
export function legend(series) {
  return h("span", { class: "legend" }, series.map(({ name, colour }) =>
    h("span", {}, h("span", { class: "swatch", style: { "background-color": `var(--${colour})` } }), name)));
}

function options({ points, pointName, pointLabel, panels, series, absent }) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const font = getComputedStyle(document.body).fontFamily;
  const quiet = { color: colour("quiet"), fontFamily: font, fontSize: 12 };
  const places = panels.length > 1 ? [{ top: 26, height: "44%" }, { top: "66%", bottom: 24 }] : [{ top: panels[0] ? 26 : 10, bottom: 24 }];
  return {
    animation: !calm.matches,
    animationDuration: 250,
    textStyle: { fontFamily: font },
    title: panels.map((text, index) => ({ text, left: 0, top: index ? "57%" : 3, padding: 0, textStyle: { ...quiet, fontWeight: 600 } })),
    grid: places.map((place) => ({ left: 46, right: 4, ...place })),
    xAxis: panels.map((_, index) => ({
      type: "category",
      gridIndex: index,
      data: points,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: colour("line") } },
      axisLabel: { ...quiet, show: index === panels.length - 1, hideOverlap: true, formatter: pointLabel },
    })),
    yAxis: panels.map((_, index) => ({
      type: "value",
      gridIndex: index,
      splitNumber: index ? 2 : 3,
      minInterval: 1,
      axisLabel: { ...quiet, formatter: shortNumber },
      splitLine: { lineStyle: { color: colour("line") } },
    })),
    axisPointer: { link: [{ xAxisIndex: "all" }] },
    tooltip: {
      trigger: "axis",
      renderMode: "richText", // HTML would need inline styles, which the page's security policy refuses
      confine: true,
      axisPointer: { type: "shadow", shadowStyle: { color: colour("hover") } },
      backgroundColor: colour("card"),
      borderColor: colour("quiet"),
      borderWidth: 1,
      textStyle: { color: colour("text"), fontFamily: font, fontSize: 13 },
      formatter: (hovered) => said(points[hovered[0].dataIndex], hovered[0].dataIndex, { pointName, series, absent }),
    },
    series: series.map(({ name, colour: own, values, panel = 0 }) => ({
      name,
      type: "bar",
      stack: `${panel}`,
      xAxisIndex: panel,
      yAxisIndex: panel,
      data: values,
      barMaxWidth: 56,
      barCategoryGap: points.length > 60 ? "10%" : "28%",
      itemStyle: { color: colour(own), borderColor: colour("card"), borderWidth: points.length > 90 ? 0 : 1 },
      emphasis: { disabled: true },
    })),
  };
}

function said(point, index, { pointName, series, absent }) {
  const there = series.filter(({ values }) => values[index] !== null);
  const lines = there.map(({ name, values, more }) => `${name}  ${number(values[index])}${more?.[index] ? `  (${more[index]})` : ""}`);
  return [pointName(point), ...(there.length ? lines : [absent])].join("\n");
}
