/**
 * `./weir bench [NAME …] [--quick]`: runs the benches, prints their tables and keeps them in docs/bench.md. `--quick` takes small sizes
 * and keeps nothing: it shows that the benches still run.
 */
import path from 'node:path';
import type {Bench} from './bench.ts';
import {cold} from './cold.ts';
import {duckdb} from './duckdb.ts';
import {hot} from './hot.ts';
import {listing} from './listing.ts';
import {metadata} from './metadata.ts';
import {asText, keep} from './report.ts';
import {posix} from './posix.ts';
import {s3} from './s3.ts';
import {start} from './start.ts';

const benches: Readonly<Record<string, Bench>> = {start, hot, s3, cold, listing, metadata, duckdb, posix};
const kept = path.resolve(import.meta.dirname, '../docs/bench.md');

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const names = args.filter(arg => !arg.startsWith('--'));
const unknown = [...names.filter(name => !Object.hasOwn(benches, name)), ...args.filter(arg => arg.startsWith('--') && arg !== '--quick')];

if (unknown.length > 0) {
  console.error(`usage: weir bench [${Object.keys(benches).join(' | ')}]... [--quick]   (not ${unknown.join(' ')})`);
  process.exitCode = 2;
} else {
  for (const name of names.length > 0 ? names : Object.keys(benches)) {
    try {
      const section = await benches[name]!({quick, say: what => void process.stderr.write(`${name}: ${what}\n`)});
      console.log(asText(section));
      if (!quick && section.rows.length > 0) keep(kept, section);
    } catch (error) {
      console.error(`${name} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      process.exitCode = 1;
    }
  }
}
