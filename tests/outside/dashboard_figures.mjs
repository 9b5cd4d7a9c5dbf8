// The dashboard's arithmetic, without a browser: node tests/outside/dashboard_figures.mjs

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

// A module by its type: the file stands among others that are none of Node's.
const source = readFileSync(new URL("../../src/admin/dashboard/figures.js", import.meta.url), "utf8");
const { History, bucketsGrown, grown, hitRatio, isMissed, matches, percentile, roundUp, top } = await import(
  `data:text/javascript,${encodeURIComponent(source)}`
);

assert.deepEqual(grown({ hit: 3 }, { hit: 5, miss: 2 }), { hit: 2, miss: 2 });
assert.deepEqual(grown({ hit: 9 }, { hit: 5 }), { hit: 5 }, "the process began anew");

assert.equal(hitRatio({}), null);
assert.equal(hitRatio({ hit: 5, stale: 1, collapsed: 1, revalidated: 1, miss: 1, pass: 1 }), 0.8);

const buckets = (...counts) => counts.map((count, at) => ({ seconds: [0.1, 0.2, 0.4, null][at], count }));
for (const [counts, share, expected] of [
  [[0, 0, 0, 0], 0.5, null],
  [[10, 0, 0, 0], 0.5, 0.05],
  [[5, 5, 0, 0], 0.5, 0.1],
  [[5, 5, 0, 0], 0.75, 0.15],
  [[0, 0, 1, 0], 1, 0.4],
  [[1, 0, 0, 9], 0.99, 0.4],
]) {
  const found = percentile(buckets(...counts), share);
  assert.ok(found === expected || Math.abs(found - expected) < 1e-9, `${counts} ${share}: ${found}`);
}
assert.deepEqual(bucketsGrown(buckets(1, 1, 0, 0), buckets(3, 1, 0, 2)), buckets(2, 0, 0, 2));

const history = new History(3);
const state = (uptime_seconds, hit) => ({ uptime_seconds, requests: { hit } });
assert.equal(history.within(60), null);
[[0, 0], [2, 10], [4, 30], [6, 60]].forEach(([at, hit]) => history.add(at * 1000, state(at, hit)));
assert.deepEqual(history.rates().map((it) => it.rates.hit), [10, 15], "the oldest has made room");
assert.equal(history.within(60).seconds, 4);
assert.equal(history.within(1).seconds, 2, "at least two states");
history.add(8000, state(1, 0));
assert.equal(history.within(60), null, "the process began anew");

const seen = ["/a", "/b", "/a"].map((url) => ({ url, outcome: "miss", detail: "private" }));
const [first] = top(seen, 1);
assert.deepEqual([first.url, first.count, first.hows], ["/a", 2, { "miss: private": 2 }]);
assert.deepEqual(["hit", "miss", "pass", "synth"].map((outcome) => isMissed({ outcome })), [false, true, true, false]);

for (const [filter, expected] of [
  ["", true], ["miss", true], ["MISS /a", true], ["hit", false], ["-hit", true], ["miss -/a", false], ["-", true],
]) {
  assert.equal(matches("miss 200 get http://h/a", filter), expected, filter);
}
for (const [number, expected] of [[0, 1], [1, 1], [3, 5], [51, 100], [100, 100], [1001, 2000]]) {
  assert.equal(roundUp(number), expected);
}
console.log("ok    the dashboard counts as it should");
