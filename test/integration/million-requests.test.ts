/** Two processes beside each other send half a million requests each to an S3 front end of their own (test/fuzz/s3), in CI; elsewhere a taste of it. */
import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import path from 'node:path';
import {test} from 'node:test';
import {promisify} from 'node:util';

const run = promisify(execFile);
const fuzz = path.resolve(import.meta.dirname, '../fuzz/run.ts');
const executions = process.env['CI'] ? 500_000 : 5_000;

test('a million mutated requests break nothing', {timeout: 1_800_000}, async (context) => {
  const seeds = [101, 102];
  const outputs = await Promise.all(seeds.map(async (seed) => {
    const {stdout} = await run(process.execPath, ['--conditions=source', fuzz, 's3-requests', '--executions', String(executions), '--seed', String(seed)], {maxBuffer: 16 << 20})
      .catch((error: {stdout: string; stderr: string}) => assert.fail(`${error.stdout.slice(-2_000)}${error.stderr.slice(0, 6_000)}`));
    return stdout;
  }));
  for (const output of outputs) {
    assert.match(output, new RegExp(`^s3-requests: ${executions} executions`));
    context.diagnostic(output.trim().split('\n').at(-1)!.trim());
  }
});
