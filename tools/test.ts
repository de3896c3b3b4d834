/**
 * `./weir test [--fast] [FILE …]`: the checks of the house (types, lint, floors, habits), then all tests, and a last line that
 * counts them. `--fast` leaves out what needs servers, and models that run for many seconds (`*.long.test.ts`). With CI set, a
 * skipped test is a failure.
 */
import {spawnSync} from 'node:child_process';
import {globSync} from 'node:fs';
import path from 'node:path';
import {run} from 'node:test';
import {spec} from 'node:test/reporters';

const root = path.resolve(import.meta.dirname, '..');
process.chdir(root);
const args = process.argv.slice(2);
const fast = args.includes('--fast');
const named = args.filter((arg) => !arg.startsWith('--'));
const inCi = process.env['CI'] !== undefined && process.env['CI'] !== 'false';

const counts = {passed: 0, failed: 0, skipped: 0};
const failures: string[] = [];

function check(name: string, command: string, commandArgs: readonly string[]): void {
  const started = Date.now();
  const result = spawnSync(command, commandArgs, {encoding: 'utf8', maxBuffer: 64 << 20});
  const passed = result.status === 0;
  console.log(`${passed ? '✔' : '✖'} ${name} (${Date.now() - started} ms)`);
  if (passed) counts.passed++;
  else {
    counts.failed++;
    failures.push(name);
    console.log(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`);
  }
}

if (named.length === 0) {
  check('types', process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.']);
  check('lint', 'node_modules/.bin/oxlint', ['--type-aware', '--quiet']);
  check('floors', process.execPath, ['--conditions=source', 'tools/floors.ts']);
  check('tidy', process.execPath, ['tools/tidy.ts']);
}

const patterns = fast ? ['src/**/*.test.ts', 'test/fast/**/*.test.ts'] : ['src/**/*.test.ts', 'test/**/*.test.ts'];
const files = named.length > 0 ? named : globSync(patterns, {exclude: ['test/fixtures/**', ...(fast ? ['src/**/*.long.test.ts'] : [])]}).sort();

/** Fast tests run two at a time; tests with real servers and processes one after the other, so that they do not disturb each other. */
async function runTests(selected: readonly string[], concurrency: number): Promise<void> {
  if (selected.length === 0) return;
  const stream = run({files: [...selected], concurrency, execArgv: ['--conditions=source'], timeout: 20 * 60_000});
  stream.on('test:pass', (event) => {
    if (event.details.type === 'suite' || isFile(event.name)) return;
    if (event.skip !== undefined && event.skip !== false) {
      // A suite for all stores asks each what it can do; what one cannot do is no test that was left out.
      if (String(event.skip).startsWith('not applicable')) return;
      counts.skipped++;
      if (inCi) failures.push(`skipped in CI: ${event.name}: ${String(event.skip)}`);
    } else counts.passed++;
  });
  stream.on('test:fail', (event) => {
    if (event.details.type === 'suite') return;
    counts.failed++;
    failures.push(`${event.file ?? ''}: ${event.name}`);
  });
  const reporter = new spec();
  for await (const text of stream.compose(reporter)) process.stdout.write(text as Buffer);
}

const isFile = (name: string) => name.endsWith('.test.ts');
const alone = files.filter((file) => file.startsWith('test/') && !file.startsWith('test/fast/'));
await runTests(files.filter((file) => !alone.includes(file)), 2);
await runTests(alone, 1);

if (failures.length > 0) console.log(`\nfailed:\n${failures.map((failure) => `  ${failure}`).join('\n')}`);
const failed = counts.failed + (inCi ? counts.skipped : 0);
console.log(`${counts.passed} passed, ${failed} failed, ${inCi ? 0 : counts.skipped} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
