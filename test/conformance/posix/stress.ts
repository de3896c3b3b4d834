/** stress-ng's stressors of file systems, two workers each for some seconds, with its own checks of what it finds. */
import type {SuiteResult} from './results.ts';
import {programFor, runIn, temporary, type Who} from './who.ts';

/** One that hangs is a failure; its clean-up may take long. */
const msMaxBeyond = 120_000;

/**
 * Not: those that use no files of the directory (binderfs, bind-mount, dup, eventfd, procfs, ioprio), that set flags of ext4, xfs and btrfs by
 * ioctl (inode-flags, chattr, verity, file-ioctl), or that need handles of files, which FUSE does not export (fanotify, handle).
 */
export const stressors: readonly string[] = (
  'access acl chdir chmod chown copy-file dentry dentrycache dir dirdeep dirmany dnotify fallocate fcntl fd-fork fiemap filehole filename filerace flock fpunch fsize fstat getdent hdd inotify io iomix lease '
  + 'link locka lockf lockmix lockofd metamix mknod open pseek rename symlink sync-file touch umask unlink utime xattr'
).split(' ');

/** Those that this version of the program has. */
export async function knownStressors(program: string): Promise<ReadonlySet<string>> {
  const {output} = await runIn(program, ['--stressors'], {directory: '/', msMax: 10_000});
  return new Set(output.split(/\s+/));
}

/** What it ends with where the kernel, or the user's rights, leave nothing to test. */
const notHere = new Set([3, 4]);

export async function runStressor(program: string, directory: string, name: string, {seconds, as}: {readonly seconds: number; readonly as?: Who | undefined}): Promise<SuiteResult> {
  await using own = await programFor(program, as);
  await using place = await temporary(directory, 'stress-', as);
  const started = performance.now();
  const sizes = ['--hdd-bytes', '64M', '--fallocate-bytes', '64M', '--copy-file-bytes', '128M', '--iomix-bytes', '64M'];
  const args = [`--${name}`, '2', '--timeout', `${seconds}s`, '--verify', '--temp-path', place.path, ...sizes];
  const {status, output} = await runIn(own.path, args, {directory: place.path, as, msMax: seconds * 1000 + msMaxBeyond});
  const state = status === 0 ? 'passed' : status !== undefined && notHere.has(status) ? 'skipped' : 'failed';
  const complaints = output.split('\n').filter(line => /fail|error|not done|skip|not supported/i.test(line));
  return {group: 'stress-ng', name, state, why: state === 'passed' ? '' : `${complaints.slice(0, 3).join(' ')} (ended with ${status ?? 'a signal'})`, seconds: (performance.now() - started) / 1000};
}
