// Copyright (c) 2026, The scaleout.platform team
// Simplified BSD License (https://opensource.org/licenses/BSD-2-Clause)
//
// Runs the JavaScript of docs/sharding.md against the buckets that PostgreSQL computed: node tests/vectors/check.mjs
// Another page, or other vectors, may be named as arguments.

import { readFileSync } from "node:fs";

const [page, vectors] = [
  process.argv[2] ?? new URL("../../docs/sharding.md", import.meta.url),
  process.argv[3] ?? new URL("buckets.json", import.meta.url),
].map((file) => readFileSync(file, "utf8"));
const code = page.match(/^```js\n(.*?)^```$/ms)[1];
const { bucketOf, shardOf } = await import(`data:text/javascript,${encodeURIComponent(code)}`);

const all = JSON.parse(vectors).vectors;
const wrong = all
  .map((vector) => ({ ...vector, computed: bucketOf(vector.key, vector.kind) }))
  .filter((vector) => vector.computed !== vector.bucket);
for (const vector of wrong.slice(0, 10)) console.error(`wrong: ${JSON.stringify(vector)}`);

const map = { shards: { 0: "zero", 7: "seven" }, ranges: [[0, 313, "0"], [314, 314, "7"], [315, 4095, "0"]] };
const found = [0, 313, 314, 315, 4095].map((bucket) => shardOf(map, bucket)).join(" ");
const routed = found === "zero zero seven zero zero";
if (!routed) console.error(`wrong shards: ${found}`);

console.log(`${all.length - wrong.length} of ${all.length} vectors agree`);
process.exitCode = wrong.length === 0 && all.length > 0 && routed ? 0 : 1;
