/**
 * versitygw's client suite: its full flow with versions, in the suite's own parallel form. One process for all of it, because a process a
 * test takes longer to start than to run; so a panic of one test is that of all that had not ended. Tests are known by the names that they
 * print, of which a few appear twice (copied and not renamed).
 */
import {execFile} from 'node:child_process';
import {tmpdir} from 'node:os';
import {Weir} from '../../integration/harness.ts';
import {exceptionsOf, type SuiteResult, testsOf, wordsOf} from './results.ts';

const suiteMsMax = 10 * 60_000;
/**
 * Tests that may fail only because of those beside them have a second try alone: one wants to see no bucket at all, and others leave some
 * where they fail as declared; locks are retained for seconds, in which a loaded machine may not come to the next request.
 */
const disturbed = /^ListBuckets_empty_success$|retention|WORM|object_lock/i;
/** `PATCH /create-bucket` and the like. */
const ownProtocol = /^IAM_/;

export const versitygwExceptions = 'versitygw-exceptions.tsv';

/** By name: the reason. A test that fails in other words than the list has is no exception. */
export const declaredExceptions = (): Promise<ReadonlyMap<string, string>> => exceptionsOf(versitygwExceptions);

async function outputOf(program: string, {s3, accessKeyId, secretAccessKey}: Weir['ready'], args: readonly string[]): Promise<string> {
  const whole = ['test', '-a', accessKeyId, '-s', secretAccessKey, '-e', s3, ...args, '--versioning-enabled'];
  return await new Promise(resolve => {
    // In another directory: tests that administer versitygw look for ./versitygw.
    const options = {cwd: tmpdir(), env: {...process.env, AWS_CA_BUNDLE: undefined}, timeout: suiteMsMax, maxBuffer: 64 << 20};
    execFile(program, whole, options, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

/** A verdict may stand behind another line that has no end: its colour tells. */
const verdict = /\u001b\[\d+m(PASS|FAIL) \u001b\[0m([^\s:]+)(?:: (.*))?/g;

interface Verdicts {
  /** Names, as often as they have passed. */
  readonly passed: string[];
  /** By name: what it said. */
  readonly failed: ReadonlyMap<string, string>;
}

function verdictsOf(output: string): Verdicts {
  const passed: string[] = [];
  const failed = new Map<string, string>();
  for (const [, word, name = '', why = ''] of output.matchAll(verdict)) {
    if (word === 'PASS') passed.push(name);
    else failed.set(name, why);
  }
  return {passed, failed};
}

const isOutside = (name: string, why: string): boolean => why.includes('exec ./versitygw') || ownProtocol.test(name);

async function onNewInstance<T>(use: (ready: Weir['ready']) => Promise<T>): Promise<T> {
  await using weir = await Weir.start({args: []});
  return await use(weir.ready);
}

/** Runs all of it on new instances. `program`: versitygw. */
export async function runVersitygwSuite(program: string): Promise<SuiteResult[]> {
  const flow = await onNewInstance(ready => outputOf(program, ready, ['full-flow', '--parallel']));
  const {passed, failed} = verdictsOf(flow);
  const counts = new Map<string, number>();
  for (const name of passed) counts.set(name, (counts.get(name) ?? 0) + 1);
  const again = [...failed].filter(([name, why]) => disturbed.test(name) && !isOutside(name, why)).map(([name]) => name);
  if (again.length > 0) {
    await onNewInstance(async ready => {
      for (const name of again) if (verdictsOf(await outputOf(program, ready, [name])).passed.includes(name)) counts.set(name, 1);
    });
  }
  const [declared, words] = [await declaredExceptions(), await wordsOf(versitygwExceptions)];
  return (await testsOf('versitygw-tests.tsv', [])).map(({feature, name}): SuiteResult => {
    const left = counts.get(name) ?? 0;
    counts.set(name, left - 1);
    const why = failed.get(name) ?? /panic: .*/.exec(flow)?.[0] ?? 'it has said nothing';
    if (left > 0) return {feature, name, state: 'passed', why: ''};
    if (isOutside(name, why)) return {feature, name, state: 'outside', why};
    const reason = declared.get(name);
    return reason !== undefined && why.includes(words.get(name)!) ? {feature, name, state: 'declared', why: reason} : {feature, name, state: 'failed', why};
  });
}
