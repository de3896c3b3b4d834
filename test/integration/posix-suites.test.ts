/**
 * The mount against the outside suites: pjdfstest in full, fsx with three seeds, programs and idioms, on one mount. What they need is built
 * once, by cargo; what cannot be had is left out and said. `npm run conformance:posix` runs more, over S3 too.
 */
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {after, before, describe, it} from 'node:test';
import {applicationNames, runApplication} from '../conformance/posix/applications.ts';
import {fsxProgram, profileNames, runFsx} from '../conformance/posix/fsx.ts';
import {pjdfstestProgram, runPjdfstest} from '../conformance/posix/pjdfstest.ts';
import {type Place, startPlace, unmountable} from '../conformance/posix/places.ts';
import type {SuiteResult} from '../conformance/posix/results.ts';
import {eventually} from './harness.ts';
import {need} from '../servers/tools.ts';

const why = unmountable();
if (why !== undefined) process.stderr.write(`\n*** LEFT OUT: the suites of the mount: the mount ${why}\n\n`);
const programs = why === undefined && {
  pjdfstest: await need('pjdfstest', 'POSIX system calls on the mount', pjdfstestProgram),
  fsx: await need('fsx', 'random operations on the mount', fsxProgram),
};
const operations = 1500;

const failed = (results: readonly SuiteResult[]): string[] => results.filter(({state}) => state === 'failed').map(({group, name, why}) => `${group} ${name}: ${why.slice(0, 400)}`);

describe('the mount, by the suites of others', {skip: why ?? false}, () => {
  let place: Place;

  before(async () => {
    place = (await startPlace('home'))!;
  });

  after(async () => {
    await place[Symbol.asyncDispose]();
  });

  it('does what pjdfstest asks of system calls', {skip: !(programs && programs.pjdfstest)}, async () => {
    const results = await runPjdfstest((programs as {pjdfstest: string}).pjdfstest, place.directory);
    assert.deepEqual(failed(results), []);
    // What it skips: remounting read-only, and counting links up to a bound that glibc knows of ext4 and of no FUSE.
    assert.deepEqual([results.length, results.filter(({state}) => state === 'passed').length], [398, 384]);
  });

  it('renames and removes over an S3 server as over a disk', {skip: !(programs && programs.pjdfstest)}, async (t) => {
    await using s3 = await startPlace('s3');
    if (!s3) return t.skip('needs versitygw');
    assert.deepEqual(failed(await runPjdfstest((programs as {pjdfstest: string}).pjdfstest, s3.directory, {patterns: ['rename', 'rmdir', 'unlink', 'link']})), []);
  });

  it('lets a program go that is killed while the store hangs', async (t) => {
    await using s3 = await startPlace('s3');
    if (!s3?.store) return t.skip('needs versitygw');
    process.kill(s3.store.pid, 'SIGSTOP');
    try {
      const waiting = spawn('sh', ['-c', 'echo x >hung'], {cwd: s3.directory, stdio: 'ignore'});
      const gone = once(waiting, 'exit');
      await eventually('it waits for the store', async () => (await readFile(`/proc/${waiting.pid}/wchan`, 'utf8')).includes('request_wait'));
      waiting.kill('SIGKILL');
      assert.deepEqual(await gone, [null, 'SIGKILL']);
    } finally {
      process.kill(s3.store.pid, 'SIGCONT');
    }
  });

  it('is the file that fsx expects', {skip: !(programs && programs.fsx)}, async () => {
    const results: SuiteResult[] = [];
    for (const seed of [1, 2, 3]) for (const name of profileNames) results.push(await runFsx((programs as {fsx: string}).fsx, place.directory, name, {seed, operations}));
    assert.deepEqual(failed(results), []);
  });

  it('carries programs and idioms', async () => {
    const results: SuiteResult[] = [];
    for (const name of applicationNames) results.push(await runApplication(name, place.directory));
    for (const {name, state, why} of results) if (state === 'skipped') process.stderr.write(`\n*** ${name}: ${why}\n`);
    assert.deepEqual(failed(results), []);
  });
});
