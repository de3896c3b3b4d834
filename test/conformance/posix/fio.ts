/** fio with verification: every block that it writes carries its own checksum and place, and is read back and compared; also past the page cache. */
import type {SuiteResult} from './results.ts';
import {programFor, runIn, temporary, type Who} from './who.ts';

const msMaxDefault = 180_000;

/** `bs` and `bsrange`: of one request. `direct`: O_DIRECT. What is overwritten is verified as it was written last. */
const jobs: Readonly<Record<string, readonly string[]>> = {
  'sequential': ['--rw=write', '--bs=256k', '--size=64m', '--end_fsync=1'],
  'sequential, O_DIRECT': ['--rw=write', '--bs=256k', '--size=64m', '--direct=1'],
  'random': ['--rw=randwrite', '--bsrange=4k-64k', '--size=32m', '--end_fsync=1'],
  'random, O_DIRECT': ['--rw=randwrite', '--bs=4k', '--size=16m', '--direct=1'],
  'random blocks of any size': ['--rw=randwrite', '--bsrange=512-48k', '--blockalign=512', '--bs_unaligned=1', '--size=8m'],
  'read and written': ['--rw=randrw', '--bs=8k', '--size=32m', '--verify_backlog=256'],
  'read and written, O_DIRECT': ['--rw=randrw', '--bs=8k', '--size=16m', '--direct=1', '--verify_backlog=256'],
  'each write synced': ['--rw=randwrite', '--bs=4k', '--size=2m', '--fdatasync=1'],
  'mapped': ['--rw=randwrite', '--bs=4k', '--size=16m', '--ioengine=mmap', '--end_fsync=1'],
  'many at once': ['--rw=randwrite', '--bs=16k', '--size=16m', '--ioengine=posixaio', '--iodepth=16'],
  'many at once, O_DIRECT': ['--rw=randwrite', '--bs=16k', '--size=16m', '--ioengine=posixaio', '--iodepth=16', '--direct=1'],
  'four programs': ['--rw=randwrite', '--bs=16k', '--size=8m', '--numjobs=4', '--end_fsync=1'],
  'many small files': ['--rw=randwrite', '--bs=4k', '--size=8m', '--nrfiles=200', '--file_service_type=random', '--openfiles=50'],
};

export const fioJobs: readonly string[] = Object.keys(jobs);

export async function runFio(program: string, directory: string, name: string, {as, msMax = msMaxDefault}: {readonly as?: Who | undefined; readonly msMax?: number} = {}): Promise<SuiteResult> {
  await using own = await programFor(program, as);
  await using place = await temporary(directory, 'fio-', as);
  const started = performance.now();
  const args = ['--name=job', `--directory=${place.path}`, '--verify=crc32c', '--verify_fatal=1', '--do_verify=1', '--randseed=1', '--fallocate=none', '--output-format=terse', ...jobs[name]!];
  const {status, output} = await runIn(own.path, args, {directory: place.path, as, msMax});
  const complaints = output.split('\n').filter(line => /verify|error|err=|fail|not done/i.test(line) && !line.startsWith('3;'));
  const why = status === 0 ? '' : `${complaints.slice(0, 4).join(' ')} (ended with ${status ?? 'a signal'})`;
  return {group: 'fio', name, state: status === 0 ? 'passed' : 'failed', why, seconds: (performance.now() - started) / 1000};
}
