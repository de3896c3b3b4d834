/** kill -9 of the daemon under programs and under fsx, under each write type: test/integration/mount-kill.test.ts, with as many kills as are asked for. */
import path from 'node:path';
import type {SuiteResult} from './results.ts';
import {runIn} from './who.ts';

const test = path.resolve(import.meta.dirname, '../../integration/mount-kill.test.ts');
const msMaxPerKill = 4 * 60_000;

/** Of the reporter "tap": a subtest's verdict, and the suite's at its end. */
const verdict = /^ {4}(not )?ok \d+ - (.+?)( # SKIP.*)?$/;
const suite = /^# Subtest: kill -9 under a mount, written as (\w+)/;

export async function runKills(kills: number): Promise<SuiteResult[]> {
  const env = {...process.env, WEIR_TEST_KILLS: String(kills)};
  const {output} = await runIn(process.execPath, ['--conditions=source', '--test', '--test-reporter=tap', test], {directory: '/', env, msMax: kills * msMaxPerKill});
  const results: SuiteResult[] = [];
  let group = '';
  for (const line of output.split('\n')) {
    group = suite.exec(line)?.[1] ?? group;
    const [, failed, name, skipped] = verdict.exec(line) ?? [];
    if (name !== undefined) results.push({group, name, state: failed ? 'failed' : skipped === undefined ? 'passed' : 'skipped', why: failed ? output.slice(-1000) : (skipped ?? '')});
  }
  return results.length > 0 ? results : [{group: 'kill -9', name: 'as a whole', state: 'failed', why: output.slice(-500)}];
}
