/**
 * Fuzzes one decoder of targets.ts, or all: `node --conditions=source test/fuzz/run.ts NAME|all [--executions N] [--seed N] [--keep]`.
 * Prints what ran of src/codec and src/connectors, by blocks. `--keep` adds the inputs that reached something new to corpus/NAME/. A finding is written to
 * corpus/NAME/, where every later run and the tests meet it again.
 */
import {createHash} from 'node:crypto';
import {globSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {Coverage} from './coverage.ts';
import {fuzz} from './fuzz.ts';
import {targets} from './targets.ts';

const {values, positionals} = parseArgs({allowPositionals: true, options: {executions: {type: 'string', default: '100000'}, seed: {type: 'string', default: '1'}, keep: {type: 'boolean', default: false}}});
const names = positionals[0] === 'all' ? Object.keys(targets) : positionals;
if (names.length === 0 || names.some((name) => !targets[name])) {
  console.error(`name a decoder, or all: ${Object.keys(targets).join(', ')}`);
  process.exit(2);
}

const keptMax = 48;
let findings = 0;
for (const name of names) {
  const target = targets[name]!;
  const folder = path.join(import.meta.dirname, 'corpus', name);
  const keep = (input: Buffer) => {
    mkdirSync(folder, {recursive: true});
    writeFileSync(path.join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16)), input);
  };
  const corpus = globSync('*', {cwd: folder}).sort().map((file) => readFileSync(path.join(folder, file)));
  using coverage = new Coverage();
  const started = performance.now();
  const {executions, corpus: grown, finding} = fuzz(target, {executions: Number(values.executions), seed: Number(values.seed), corpus, coverage});
  const seconds = (performance.now() - started) / 1000;
  const known = target.seeds.length + corpus.length;
  console.log(`${name}: ${executions} executions in ${seconds.toFixed(1)} s, ${grown.length - known} new inputs beside ${known}`);
  for (const {file, covered, blocks, missedLines} of coverage.files()) {
    console.log(`  ${file}: ${covered} of ${blocks} blocks${missedLines.length > 0 ? `; never ran: lines ${missedLines.join(' ')}` : ''}`);
  }
  if (values.keep) for (const input of grown.slice(known, known + Math.max(0, keptMax - corpus.length))) keep(input);
  if (!finding) continue;
  findings++;
  keep(finding.input);
  console.error(`${name}: a finding, ${JSON.stringify(finding.input.toString('latin1'))}`, finding.error);
}
process.exitCode = findings > 0 ? 1 : 0;
