// The page's parts that move: tiles, chart, tables. Rows keep their elements while they last, so that
// focus and selection stay where they are.

import { OUTCOMES, bucketsGrown, grown, hitRatio, percentile, roundUp, total } from "./figures.js";

const SVG = "http://www.w3.org/2000/svg";

export const by = (id) => document.getElementById(id);

/** An element with its properties and what stands in it. */
export function el(tag, properties = {}, ...content) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...content);
  return made;
}

const dot = (outcome) => {
  const made = el("span", { className: `dot ${outcome}` });
  made.setAttribute("aria-hidden", "true");
  return made;
};

const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

// === numbers as people read them ===

export function number(it) {
  if (it >= 10_000) return Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(it);
  return it >= 100 || Number.isInteger(it) ? it.toFixed(0) : it.toFixed(it >= 10 ? 1 : 2);
}

export function bytes(it) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const at = it < 1 ? 0 : Math.min(Math.floor(Math.log2(it) / 10), units.length - 1);
  const scaled = it / 1024 ** at;
  return `${at && scaled < 100 ? scaled.toFixed(1) : scaled.toFixed(0)} ${units[at]}`;
}

export function seconds(it) {
  if (it === null) return "–";
  if (it < 0.001) return `${(it * 1e6).toFixed(0)} µs`;
  return it < 1 ? `${(it * 1e3).toFixed(it < 0.01 ? 1 : 0)} ms` : `${it.toFixed(it < 10 ? 1 : 0)} s`;
}

const percent = (it) => (it === null ? "–" : `${(100 * it).toFixed(1)} %`);

function span(of) {
  const [days, hours, minutes] = [of / 86400, (of / 3600) % 24, (of / 60) % 60].map(Math.floor);
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours} h ${minutes} min` : minutes ? `${minutes} min` : `${of} s`;
}

// === tiles ===

const tiles = new Map();

function tile(name, value, note, share = null) {
  if (!tiles.has(name)) {
    const parts = { value: el("dd", { className: "value" }), note: el("dd", { className: "note" }) };
    const box = el("div", {}, el("dt", {}, name), parts.value, parts.note);
    if (share !== null) {
      parts.fill = el("div");
      const bar = el("div", { className: "bar" }, parts.fill);
      parts.note.append(el("span"), bar);
    }
    by("tiles").append(box);
    tiles.set(name, parts);
  }
  const parts = tiles.get(name);
  write(parts.value, value);
  write(parts.fill ? parts.note.firstChild : parts.note, note);
  if (parts.fill) parts.fill.style.width = `${Math.min(100 * share, 100)}%`;
}

export function showTiles(history) {
  const { status } = history.last;
  const [recent, minute] = [history.within(5), history.within(60)];
  const since = (period) => grown(period.since.status.requests, period.now.status.requests);
  const rate = recent ? total(since(recent)) / recent.seconds : 0;
  tile("Requests", `${number(rate)} /s`, `${number(total(status.requests))} since the start`);
  const ratio = minute ? hitRatio(since(minute)) : null;
  tile("Hit ratio", percent(ratio), `last minute; ${percent(hitRatio(status.requests))} in all`);
  const { buckets } = status.durations;
  const took = minute ? bucketsGrown(minute.since.status.durations.buckets, buckets) : buckets;
  const [half, most, nearly] = [0.5, 0.95, 0.99].map((it) => seconds(percentile(took, it)));
  tile("Latency, median", half, `95 %: ${most} · 99 %: ${nearly}`);
  const failed = minute ? grown(minute.since.status.responses, status.responses)["5xx"] : 0;
  tile("Errors, 5xx", number(failed), `last minute; ${number(status.responses["5xx"])} in all`);
  const { store } = status;
  const share = store.bytes / Math.max(store.bytes_max, 1);
  tile("Memory", bytes(store.bytes), `of ${bytes(store.bytes_max)}, ${number(store.objects)} objects`, share);
  tile("Connections", number(status.connections), `objects arriving: ${number(store.fills)}`);
  const ready = status.ready ? "" : " · draining";
  write(by("about"), `${status.version} · up ${span(status.uptime_seconds)}${ready}`);
}

// === chart ===

const svg = (tag, attributes, text = "") => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
};

const LEFT = 44;
const BELOW = 18;
let pointedAt = null;
let drawn = { rates: [], left: 0, step: 1 };

/** The rates piled up; `span` is how many points there are when the chart is full. */
export function showChart(rates, span) {
  const chart = by("chart");
  const { clientWidth: width, clientHeight: height } = chart;
  const highest = roundUp(Math.max(...rates.map((it) => total(it.rates)), 1));
  const step = (width - LEFT - 4) / (span - 1);
  const left = width - 4 - step * (rates.length - 1);
  const x = (at) => (left + at * step).toFixed(1);
  const y = (value) => (height - BELOW - (value / highest) * (height - BELOW - 10)).toFixed(1);
  drawn = { rates, left, step };
  const parts = [0, 0.5, 1].flatMap((it) => [
    svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(it * highest), y2: y(it * highest) }),
    svg("text", { x: LEFT - 6, y: Number(y(it * highest)) + 4, "text-anchor": "end" }, number(it * highest)),
  ]);
  let base = rates.map(() => 0);
  for (const outcome of OUTCOMES) {
    const above = rates.map((it, at) => base[at] + it.rates[outcome]);
    if (rates.length > 1 && above.some((it, at) => it > base[at])) parts.push(area(outcome, base, above, x, y));
    base = above;
  }
  const minutes = ((span - 1) * 2) / 60;
  parts.push(svg("text", { x: LEFT, y: height - 2 }, `${minutes.toFixed(0)} min ago`));
  parts.push(svg("text", { x: width - 4, y: height - 2, "text-anchor": "end" }, "now"));
  const at = pointed();
  if (at !== null) parts.push(svg("line", { class: "cursor", x1: x(at), x2: x(at), y1: 6, y2: height - BELOW }));
  chart.replaceChildren(...parts);
  showLegend(rates.at(at ?? -1), at === null ? "" : ` ${2 * (rates.length - 1 - at)} s ago`);
  chart.setAttribute("aria-label", `Requests a second over the last ${minutes.toFixed(0)} minutes, at most ${number(highest)}; the list below has those of now.`);
}

function area(outcome, base, above, x, y) {
  const over = above.map((it, at) => `${x(at)},${y(it)}`);
  const under = base.map((it, at) => `${x(at)},${y(it)}`).reverse();
  return svg("polygon", { class: outcome, points: [...over, ...under].join(" ") });
}

/** The point that the mouse is at. */
function pointed() {
  if (pointedAt === null || !drawn.rates.length) return null;
  const at = Math.round((pointedAt - drawn.left) / drawn.step);
  return Math.max(0, Math.min(at, drawn.rates.length - 1));
}

/** Has the legend tell of the moment that the mouse is at. */
export function followPointer(redraw) {
  by("chart").addEventListener("pointermove", (event) => {
    pointedAt = event.offsetX;
    redraw();
  });
  by("chart").addEventListener("pointerleave", () => {
    pointedAt = null;
    redraw();
  });
}

const legend = new Map();

function showLegend(point, when) {
  for (const outcome of OUTCOMES) {
    if (!legend.has(outcome)) {
      const value = el("b");
      legend.set(outcome, value);
      by("legend").append(el("li", {}, dot(outcome), el("span", {}, outcome), value));
    }
    write(legend.get(outcome), number(point?.rates[outcome] ?? 0));
  }
  write(by("chart-title"), `Requests a second, by outcome${when}`);
}

// === tables ===

/** A row for each item: made once for a key, then changed. */
function rows(body, items, key, make) {
  const table = by(body);
  const known = new Map([...table.rows].map((it) => [it.dataset.key, it]));
  const wanted = items.map((item) => {
    const row = known.get(key(item)) ?? make(item);
    row.dataset.key = key(item);
    row.show?.(item);
    return row;
  });
  const kept = new Set(wanted);
  [...table.rows].forEach((it) => kept.has(it) || it.remove());
  wanted.forEach((row, at) => {
    if (table.rows[at] !== row) table.insertBefore(row, table.rows[at] ?? null);
  });
}

/** A row whose texts are a function of its item; columns that are right-aligned begin with `#`. */
function textRow(columns, texts) {
  const cells = columns.map((it) => el("td", { className: it.replace("#", "number") }));
  const row = el("tr", {}, ...cells);
  row.show = (item) => texts(item).forEach((text, at) => write(cells[at], text));
  return row;
}

export function showSites(history) {
  const minute = history.within(60);
  const rate = (name, now) => {
    const before = minute?.since.status.sites[name]?.requests ?? {};
    return minute ? total(grown(before, now)) / minute.seconds : 0;
  };
  const all = Object.entries(history.last.status.sites);
  const sites = all.map(([name, it]) => ({ name, ...it, rate: rate(name, it.requests) }));
  const shown = sites.filter((it) => total(it.requests) || !["none", "other"].includes(it.name));
  rows("sites", shown, (it) => it.name, () => textRow(["url", "#", "#", "#", "#"], (it) => [
    it.name, number(it.rate), percent(hitRatio(it.requests)), number(total(it.requests)), number(it.responses["5xx"]),
  ]));
}

const STATES = { ready: "Ready", drain: "Drain", maintenance: "Maintenance" };

/** All servers, with buttons that call `set` with an origin, a server and a state. */
export function showOrigins(origins, before, period, set) {
  const rate = (origin, it) => {
    const old = before?.[origin]?.servers.find((other) => other.server === it.server);
    return old ? Math.max(0, it.requests - old.requests) / period : 0;
  };
  const servers = Object.entries(origins).flatMap(([origin, { servers: all }]) =>
    all.map((it) => ({ ...it, origin, rate: rate(origin, it) })));
  rows("origins", servers, (it) => `${it.origin} ${it.server}`, (made) => {
    const columns = ["", "server", "", "#", "#", "#", "#"];
    const row = textRow(columns, (it) => [
      it.origin, it.server, it.standing, number(it.active), number(it.rate),
      seconds(it.latency_seconds || null), number(total(it.errors)),
    ]);
    const buttons = Object.entries(STATES).map(([state, name]) => {
      const button = el("button", { type: "button", textContent: name });
      button.setAttribute("aria-label", `${name}: ${made.server} of ${made.origin}`);
      button.addEventListener("click", () => set(made.origin, made.server, state));
      return [state, button];
    });
    row.append(el("td", {}, el("div", { className: "buttons" }, ...buttons.map(([, it]) => it))));
    const { show } = row;
    row.show = (it) => {
      show(it);
      row.cells[2].className = it.up ? "good" : "bad";
      buttons.forEach(([state, button]) => button.setAttribute("aria-pressed", String(it.state === state)));
    };
    return row;
  });
}

const link = (url, explain) => {
  const made = el("button", { type: "button", className: "link url", title: url });
  made.textContent = url.replace(/^https?:\/\//, "");
  made.setAttribute("aria-label", `Explain ${url}`);
  made.addEventListener("click", () => explain(url));
  return made;
};

/** Shares of URLs in the sample; `told` is the last column's text. */
export function showTop(body, groups, told, last, explain) {
  rows(body, groups, (it) => it.url, (made) => {
    const row = textRow(["#", last], (it) => [percent(it.share), told(it)]);
    row.prepend(el("td", { className: "url" }, link(made.url, explain)));
    return row;
  });
}

export const ratioOf = (group) => percent(hitRatio(group.outcomes));

export function howOf(group) {
  const hows = Object.entries(group.hows).sort(([, a], [, b]) => b - a);
  return hows.slice(0, 3).map(([how, count]) => (hows.length > 1 ? `${how} (${count})` : how)).join(", ");
}

/** Requests, newest first. */
export function showLog(requests, explain) {
  const newest = requests.toReversed();
  rows("log", newest, (it) => String(it.number), (it) => {
    const time = new Date(it.received * 1000).toLocaleTimeString("en-GB");
    const outcome = el("td", {}, dot(it.outcome), it.outcome);
    const end = [seconds(it.seconds), bytes(it.body_bytes)].map((text) => el("td", { className: "number" }, text));
    const status = it.status || "–";
    return el("tr", {}, el("td", {}, time), outcome,
      el("td", { className: it.status >= 500 || !it.status ? "number bad" : "number" }, String(status)),
      el("td", {}, it.method), el("td", { className: "url" }, link(it.url, explain)), ...end,
      el("td", {}, it.detail ?? ""), el("td", {}, it.client));
  });
}
