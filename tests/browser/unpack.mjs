// node unpack.mjs FROM TO: FROM's *.br files without brotli, which neither Python's standard library nor tar reads.

import { createReadStream, createWriteStream, readdirSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

const [from, to] = process.argv.slice(2);
const packed = readdirSync(from).filter((name) => name.endsWith(".br"));
await Promise.all(packed.map((name) =>
  pipeline(createReadStream(`${from}/${name}`), createBrotliDecompress(), createWriteStream(`${to}/${name.slice(0, -3)}`, { mode: 0o755 }))));
