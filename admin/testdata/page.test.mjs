import test from "node:test";
import assert from "node:assert/strict";
import { Columns, windows } from "./columns.js";
import { quantile } from "./quantile.js";
import { shades, Signals } from "./signals.js";
import * as format from "./format.js";
import { csv, overTime } from "./csv.js";
import { merge } from "./merge.js";
import { merged } from "./alerts.js";

// The wanted numbers are worked out by hand from the rules of histogram_quantile.
test("quantile", () => {
  for (const [q, bounds, counts, want] of [
    [0.5, [1, 2, 4], [0, 10, 10, 0], 2],
    [0.75, [1, 2, 4], [0, 10, 10, 0], 3],
    [0.25, [1, 2, 4], [20, 10, 10, 0], 0.5],
    [0.99, [1, 2, 4], [1, 0, 0, 99], 4],    // in the open bucket: the highest finite bound
    [1, [1, 2, 4], [1, 0, 3, 0], 4],
    [0, [1, 2], [4, 4, 0], 0],
    [0, [1, 2], [0, 4, 0], NaN],            // zero of zero
    [0.5, [1, 2], [0, 0, 0], NaN],
    [0.5, [], [7], NaN],
    [0.1, [-1, 2], [5, 5, 0], -1],          // a first bound not above zero stands for its bucket
    [0.9, [-1, 2], [5, 5, 0], 1.4],
    [-0.1, [1], [1, 0], -Infinity],
    [1.1, [1], [1, 0], Infinity],
    [NaN, [1], [1, 0], NaN],
  ]) {
    const got = quantile(q, bounds, counts);
    assert.ok(Object.is(got, want) || Math.abs(got - want) < 1e-12, `quantile(${q}, [${bounds}], [${counts}]) is ${got}, want ${want}`);
  }
});

const counter = (values, extra = {}) => ({ metric: "c", unit: "", kind: "counter", attributes: {}, values, ...extra });
const gauge = (values, attributes = {}) => ({ metric: "g", unit: "", kind: "gauge", attributes, values });

function filled() {
  const c = new Columns();
  c.append({ start: null, times: [1000, 2000, 3000], gaps: [], series: [counter([null, 10, 20]), gauge([1, null, 3])] });
  c.append({ start: 3000, times: [63000], gaps: [[3000, 63000]], series: [counter([600]), gauge([4], { late: "yes" })] });
  c.append({ start: 63000, times: [64000], gaps: [], series: [counter([5])] });
  c.append({ start: 63000, times: [64000], gaps: [], series: [counter([5])] }); // known already
  return c;
}

test("rates add up increases and do not cross gaps", () => {
  const c = filled();
  assert.deepEqual(c.times, [1000, 2000, 3000, 63000, 64000]);
  assert.deepEqual(c.breaks, [false, false, false, true, false]);
  assert.deepEqual(new Signals(c, 0, 64000, 1000).rate(c.of("c")), [null, 10, 20, null, 5]);
  assert.deepEqual(new Signals(c, 0, 64000, 2000).rate(c.of("c")), [null, 10, 15, null, 5]);
  assert.equal(new Signals(c, 0, 64000, 1000).rate([]), null);
});

test("a window starts where its view does not", () => {
  const c = new Columns();
  c.append({ start: null, times: [1000, 2000, 3000, 4000, 5000], gaps: [], series: [counter([null, 1, 1, 1, 1])] });
  assert.deepEqual(windows(c, 3, 4, 2000), [1, 2]);
});

test("levels add up what is present", () => {
  const c = filled();
  assert.deepEqual(new Signals(c, 0, 64000, 1000).level(c.of("g")), [1, null, 3, 4, null]);
});

test("a series that appears counts from its first increase", () => {
  const c = new Columns();
  c.append({ start: null, times: [1000, 2000], gaps: [], series: [] });
  c.append({ start: 2000, times: [3000, 4000], gaps: [], series: [counter([7, 1])] });
  assert.deepEqual(new Signals(c, 0, 4000, 1000).rate(c.of("c")), [null, null, 7, 1]);
});

test("percentiles come from the merged buckets of the window", () => {
  const c = new Columns();
  const buckets = [[0, 9, 0], [0, 0, 1], []];
  c.append({ start: null, times: [1000, 2000, 3000], gaps: [], series: [counter([null, 9, 1], { metric: "h", kind: "histogram", bounds: [1, 2], buckets })] });
  const s = (window) => new Signals(c, 0, 3000, window).percentiles("h", [0.5, 1]);
  assert.deepEqual(s(1000), [[null, 0.5, 1.5], [null, 1, 2]]);
  assert.deepEqual(s(2000), [[null, 0.5, 5 / 9], [null, 1, 2]]);
  assert.equal(new Signals(c, 0, 3000, 1000).percentiles("none", [0.5]), null);
});

test("alert spans", () => {
  const c = new Columns();
  const state = { metric: "otelnet.alert.state", unit: "", kind: "gauge", attributes: { alert: "A", severity: "warn" }, values: [0, 2, 2, 1, 2] };
  c.append({ start: null, times: [1, 2, 3, 4, 5], gaps: [], series: [state] });
  assert.deepEqual(new Signals(c, 0, 5, 1).spans(), [
    { alert: "A", severity: "warn", from: 5, to: 5, over: false },
    { alert: "A", severity: "warn", from: 2, to: 4, over: true },
  ]);
});

test("trimming keeps rates", () => {
  const c = new Columns();
  const times = Array.from({ length: 200 }, (_, i) => i * 1000);
  c.append({ start: null, times, gaps: [], series: [counter(times.map((_, i) => (i ? 3 : null)))] });
  c.trim(100000);
  assert.equal(c.times.length, 100);
  assert.deepEqual(new Set(new Signals(c, 101000, 199000, 5000).rate(c.of("c")).slice(1)), new Set([3]));
});

test("numbers for people", () => {
  for (const [got, want] of [
    [format.seconds(0.0082), "8.20 ms"], [format.seconds(0.00042), "420 µs"], [format.seconds(1.5), "1.50 s"], [format.seconds(0), "0 s"],
    [format.seconds(0.9999), "1.00 s"], [format.seconds(null), "–"], [format.bytes(999), "999 B"], [format.bytes(4100000), "4.1 MB"],
    [format.bytes(1000000), "1 MB"], [format.count(1234), "1.23 k"], [format.count(10.5), "10.5"], [format.percent(0), "0 %"],
    [format.duration(11520), "3h12m"], [format.duration(65), "1m05s"], [format.change(110, 100), "▲10 %"], [format.change(1, 0), ""],
  ]) assert.equal(got, want);
});

test("ticks and changes are short", () => {
  for (const [got, want] of [
    [format.tick("10.0 ms"), "10 ms"], [format.tick("2.50 s"), "2.5 s"], [format.tick("1.00 s"), "1 s"], [format.tick("100 ms"), "100 ms"],
    [format.tick("20 MB"), "20 MB"], [format.change(1500, 100), "▲15×"], [format.change(50, 100), "▼50 %"],
  ]) assert.equal(got, want);
});

test("shades of alerts that overlap are one", () => {
  const span = (from, to, severity) => ({ alert: "A", severity, from, to, over: true });
  assert.deepEqual(shades([span(5, 9, "warn"), span(1, 3, "warn"), span(8, 12, "warn"), span(2, 6, "crit")]), [
    { from: 1, to: 3, warn: true }, { from: 5, to: 12, warn: true }, { from: 2, to: 6, warn: false },
  ]);
});

test("CSV quotes what it must and disarms formulas", () => {
  assert.equal(csv([["a", 1.5, null, undefined, -2], ['b,"c"', "=1+1", "@x", "-y", "line\nbreak"]]),
    'a,1.5,,,-2\r\n"b,""c""",\'=1+1,\'@x,\'-y,"line\nbreak"\r\n');
});

test("CSV over time begins with the range and leaves out lines without data", () => {
  const signals = { times: [1000, 2000, 3500], from: 2000 };
  assert.equal(overTime(signals, [["in", [1, 2, null]], ["out", null], ["p99", [0.1, 0.25, 3]]]),
    "time,in,p99\r\n1970-01-01T00:00:02.000Z,2,0.25\r\n1970-01-01T00:00:03.500Z,,3\r\n");
});

test("histograms of a capture are merged for percentiles, and stay apart for counts", () => {
  const one = (attributes, values, buckets, bounds = [1, 2]) => ({ metric: "h", unit: "s", kind: "histogram", attributes, values, bounds, buckets });
  const h = merge({ start: null, times: [1000, 2000], gaps: [], series: [
    one({ a: "x" }, [null, 3], [[0, 1], [], [0, 2]]), one({ a: "y" }, [4, 5], [[4, 0], [0, 5], []]), one({ a: "z" }, [1, 1], [[1, 1]], []), gauge([1, 2]),
  ] });
  assert.equal(h.series.length, 6);
  const c = new Columns();
  c.append(h);
  assert.deepEqual(c.of("h", true)[0].buckets, [[4, 5], [0, 5], [0, 2]]);
  assert.deepEqual(c.of("h").map((s) => s.attributes.a), ["x", "y", "z"]);
  assert.deepEqual(new Signals(c, 0, 2000, 1000).rate(c.of("h").slice(0, 2)), [null, 8]);
  assert.deepEqual(new Signals(c, 0, 2000, 1000).percentiles("h", [0.5]), [[null, 1.6]]);
});

// The rules are told more seldom than the alerts: the table must not say otherwise than the strip.
test("rules agree with the alerts", () => {
  const rule = (name, state) => [{ name: "g" }, { name, state, alerts: [], type: "alerting" }];
  const known = [rule("calm", "firing"), rule("late", "inactive"), rule("slow", "inactive"), rule("twin", "firing"), rule("twin", "inactive")];
  const alert = (name, state) => ({ labels: { alertname: name }, state, value: "2" });
  const got = merged(known, [alert("late", "pending"), alert("slow", "pending"), alert("slow", "firing"), alert("twin", "pending")]);
  assert.deepEqual(got.map(([, r]) => [r.name, r.state, r.alerts.length]), [
    ["slow", "firing", 2], ["twin", "firing", 0], ["late", "pending", 1], ["calm", "inactive", 0], ["twin", "inactive", 0],
  ]);
});
