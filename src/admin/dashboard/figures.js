// Figures out of counters: rates, ratios, percentiles and tops. No page, no clock, no network.

/** In the order in which the chart piles them up. */
export const OUTCOMES = ["hit", "collapsed", "revalidated", "stale", "miss", "pass", "synth", "error"];
/** Those of them whose content no origin had to send for this request alone. */
const HITS = ["hit", "collapsed", "revalidated", "stale"];

const sum = (numbers) => numbers.reduce((all, it) => all + it, 0);

export const total = (counts) => sum(Object.values(counts));

/** What has been added to each counter; all of it where the process began anew. */
export function grown(before, now) {
  const pairs = Object.entries(now).map(([key, count]) => [key, count - (before[key] ?? 0)]);
  return pairs.some(([, it]) => it < 0) ? now : Object.fromEntries(pairs);
}

/** The hits' share of all requests; null of none. */
export function hitRatio(counts) {
  const all = total(counts);
  return all ? sum(HITS.map((it) => counts[it] ?? 0)) / all : null;
}

/** What a share of the durations stay below, in seconds; null of none. Even within a bucket. */
export function percentile(buckets, share) {
  let left = share * sum(buckets.map((it) => it.count));
  if (!left) return null;
  let from = 0;
  for (const { seconds, count } of buckets) {
    if (count >= left) return seconds === null ? from : from + (seconds - from) * (left / count);
    left -= count;
    from = seconds ?? from;
  }
  return from;
}

/** Each bucket's growth. */
export function bucketsGrown(before, now) {
  const shrank = now.some((it, at) => it.count < before[at].count);
  return shrank ? now : now.map((it, at) => ({ ...it, count: it.count - before[at].count }));
}

/** States of the last minutes, and what happened between them. */
export class History {
  #states = [];

  constructor(max) {
    this.max = max;
  }

  add(time, status) {
    if (this.last && status.uptime_seconds < this.last.status.uptime_seconds) this.#states = [];
    this.#states.push({ time, status });
    if (this.#states.length > this.max) this.#states.shift();
  }

  get last() {
    return this.#states.at(-1);
  }

  /** Requests a second by outcome between each two states, oldest first. */
  rates() {
    return this.#states.slice(1).map(({ time, status }, at) => {
      const before = this.#states[at];
      const seconds = Math.max((time - before.time) / 1000, 0.001);
      const counts = grown(before.status.requests, status.requests);
      return { time, rates: Object.fromEntries(OUTCOMES.map((it) => [it, (counts[it] ?? 0) / seconds])) };
    });
  }

  /** The newest state and the oldest within so many seconds, or the one before; null before there are two. */
  within(seconds) {
    const now = this.last;
    if (this.#states.length < 2) return null;
    const oldest = this.#states.find((it) => it.time >= now.time - seconds * 1000);
    const since = oldest === now ? this.#states.at(-2) : oldest;
    return { since, now, seconds: (now.time - since.time) / 1000 };
  }
}

/** The URLs that most of these requests were for. */
export function top(requests, max) {
  const groups = new Map();
  for (const it of requests) {
    const group = groups.get(it.url) ?? { url: it.url, count: 0, outcomes: {}, hows: {} };
    const how = it.detail ? `${it.outcome}: ${it.detail}` : it.outcome;
    group.count += 1;
    group.outcomes[it.outcome] = (group.outcomes[it.outcome] ?? 0) + 1;
    group.hows[how] = (group.hows[how] ?? 0) + 1;
    groups.set(it.url, group);
  }
  const found = [...groups.values()].sort((a, b) => b.count - a.count).slice(0, max);
  return found.map((it) => ({ ...it, share: it.count / requests.length }));
}

export const isMissed = (request) => ["miss", "pass", "error"].includes(request.outcome);

/** Whether a request's text has all words of a filter, and none that stands behind a minus. */
export function matches(text, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter((it) => it && it !== "-");
  return words.every((it) => (it.startsWith("-") ? !text.includes(it.slice(1)) : text.includes(it)));
}

/** The least round number that is no less: 1, 2 or 5 times a power of ten. */
export function roundUp(number) {
  const power = 10 ** Math.floor(Math.log10(Math.max(number, 1)));
  return [1, 2, 5, 10].map((it) => it * power).find((it) => it >= number);
}
