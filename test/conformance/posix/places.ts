/** Where the suites run: a new instance with a mount, over a store of its own on the disk or over a real S3 server. */
import {execFile} from 'node:child_process';
import {accessSync, constants, readFileSync} from 'node:fs';
import {chown, mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {promisify} from 'node:util';
import {startStack, Weir} from '../../integration/harness.ts';
import type {S3Server} from '../../servers/s3-servers.ts';
import type {Who} from './who.ts';

const run = promisify(execFile);

export interface PlaceOptions {
  /** False: the kernel reads nothing past Weir. */
  readonly passthrough?: boolean;
  /** Whose the instance, the mount and the suites are; root when absent. */
  readonly as?: Who | undefined;
}

/** What tests of special files and set-id bits need; who mounts decides. */
function mountArgs(place: string, {passthrough = true, as}: PlaceOptions): string[] {
  const options = [...(as ? [] : ['dev', 'suid']), ...(passthrough ? [] : ['nopassthrough'])];
  return ['--fuse', place, ...(options.length > 0 ? ['--fuse-options', options.join(',')] : [])];
}

export interface Place extends AsyncDisposable {
  /** A directory of the mount. */
  readonly directory: string;
  readonly weir: Weir;
  /** The S3 server. */
  readonly store?: S3Server;
}

/** Why there can be no mount here; undefined where there can. */
export function unmountable(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return 'needs /dev/fuse';
  }
}

const passthroughSinceMinor = 9;

/** Whether files can be handed to the kernel here. */
export function passesThrough(): boolean {
  if (unmountable() !== undefined) return false;
  const [major, minor] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number) as [number, number];
  return major > 6 || (major === 6 && minor >= passthroughSinceMinor);
}

/** Undefined where the S3 server cannot be had. */
export async function startPlace(store: 'home' | 's3', options: PlaceOptions = {}): Promise<Place | undefined> {
  const {as} = options;
  // Short: the name of a socket has 107 bytes at most, and the suites add their own directories.
  const place = await mkdtemp(path.join(tmpdir(), 'weir-'));
  if (as) await chown(place, as.uid, as.gid);
  const args = mountArgs(place, options);
  const stack = store === 's3' ? await startStack('the mount over S3', {bucket: 'posix', args, rttMs: 0}) : undefined;
  if (store === 's3' && !stack) {
    await rm(place, {recursive: true});
    return undefined;
  }
  const weir = stack?.weir ?? (await Weir.start({args, ...(as ? {user: as} : {})}));
  const directory = path.join(place, 'posix');
  const end = async (): Promise<void> => {
    await weir.kill('SIGTERM');
    await run('umount', ['-l', place]).catch(() => undefined);
    await (stack ?? weir)[Symbol.asyncDispose]();
    await rm(place, {recursive: true});
  };
  try {
    await run('mkdir', ['-p', '-m', '755', directory], {cwd: '/', ...as});
  } catch (error) {
    await end();
    throw error;
  }
  return {directory, weir, ...(stack ? {store: stack.store} : {}), [Symbol.asyncDispose]: end};
}
