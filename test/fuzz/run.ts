/**
 * Fuzzes one decoder of targets.ts, or all: `node --conditions=source test/fuzz/run.ts NAME|all [--executions N] [--seed N] [--keep]`.
 * Prints what ran of src/codec and src/connectors, by blocks. `--keep` adds the inputs that reached something new to corpus/NAME/. A finding is written to
 * corpus/NAME/, where every later run and the tests meet it again. `s3-requests`: whole requests against the S3 front end (s3/).
 */
import {createHash} from 'node:crypto';
import {globSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {Coverage} from './coverage.ts';
import {fuzz} from './fuzz.ts';
import {fuzzRequests} from './s3/s3-requests.ts';
import {targets} from './targets.ts';

const {values, positionals} = parseArgs({allowPositionals: true, options: {executions: {type: 'string', default: '100000'}, seed: {type: 'string', default: '1'}, keep: {type: 'boolean', default: false}}});
const names = positionals[0] === 'all' ? Object.keys(targets) : positionals;
const requestsName = 's3-requests';
if (names.length === 0 || names.some((name) => !targets[name] && name !== requestsName)) {
  console.error(`name a decoder, or all: ${Object.keys(targets).join(', ')}; or ${requestsName}`);
  process.exit(2);
}

const keptMax = 48;
let findings = 0;

function printCoverage(coverage: Coverage): void {
  const files = coverage.files();
  for (const {file, covered, blocks, missedLines} of files) {
    console.log(`  ${file}: ${covered} of ${blocks} blocks${missedLines.length > 0 ? `; never ran: lines ${missedLines.join(' ')}` : ''}`);
  }
  const [covered, blocks] = [files.reduce((sum, file) => sum + file.covered, 0), files.reduce((sum, file) => sum + file.blocks, 0)];
  console.log(`  together: ${covered} of ${blocks} blocks, ${((100 * covered) / blocks).toFixed(1)} %`);
}

/** Several machines side by side: one alone waits for its metastore half of the time. */
async function runRequests(executions: number, seed: number): Promise<void> {
  const lanes = 4;
  const folder = path.join(import.meta.dirname, 'corpus', requestsName);
  const corpus = globSync('*', {cwd: folder}).sort().map((file) => readFileSync(path.join(folder, file)));
  using coverage = new Coverage(/\/src\/(frontends|codec)\/s3\//);
  const started = performance.now();
  const results = await Promise.all(Array.from({length: lanes}, (_, lane) => fuzzRequests({executions: Math.ceil(executions / lanes), seed: seed * lanes + lane, corpus, coverage})));
  const done = results.reduce((sum, result) => sum + result.executions, 0);
  const kinds = new Set(results.flatMap((result) => [...result.kinds.keys()]));
  coverage.take(true);
  console.log(`${requestsName}: ${done} executions in ${((performance.now() - started) / 1000).toFixed(1)} s, ${kinds.size} kinds of answers`);
  printCoverage(coverage);
  for (const {finding} of results) {
    if (!finding) continue;
    findings++;
    if (finding.alone) {
      mkdirSync(folder, {recursive: true});
      writeFileSync(path.join(folder, createHash('sha256').update(finding.wire).digest('hex').slice(0, 16)), finding.wire);
    }
    console.error(`${requestsName}: a finding${finding.alone ? '' : ' (only after the requests before it)'}, ${JSON.stringify(finding.wire.toString('latin1'))}`, finding.error);
  }
}

for (const name of names) {
  if (name === requestsName) {
    await runRequests(Number(values.executions), Number(values.seed));
    continue;
  }
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
  printCoverage(coverage);
  if (values.keep) for (const input of grown.slice(known, known + Math.max(0, keptMax - corpus.length))) keep(input);
  if (!finding) continue;
  findings++;
  keep(finding.input);
  console.error(`${name}: a finding, ${JSON.stringify(finding.input.toString('latin1'))}`, finding.error);
}
process.exitCode = findings > 0 ? 1 : 0;
