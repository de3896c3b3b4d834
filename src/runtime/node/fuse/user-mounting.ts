/**
 * Mounting as an ordinary user: fusermount3, which is set-user-id root, checks that the directory is the user's, mounts, and sends the device
 * back over a socket that it is given. Its mounts are never `suid` or `dev`, and for others only where the administrator allows that.
 * Source: util/fusermount.c of libfuse, fusermount3(1).
 */
import fs from 'node:fs';
import {WeirError} from '#base/errors.ts';
import type {FuseMountOptions} from '#runtime/fuse.ts';
import type {Log} from '#runtime/log.ts';
import {type Mounting, runTool, sourceOf, unmountBy} from '#runtime/node/fuse/mounting.ts';
import {keeperCalls} from '#runtime/node/native/keeper-calls.ts';

const tool = 'fusermount3';
const configurationFile = '/etc/fuse.conf';
const socketOfChild = 3;

/** Flags that fusermount3 knows and allows; it fails of one that it does not know. */
const allowed = new Set(['nosuid', 'nodev', 'exec', 'noexec', 'async', 'sync', 'dirsync', 'noatime', 'nodiratime']);
/** What holds without being said. */
const usual = new Set(['atime', 'diratime', 'relatime']);

export function userMounting(log: Log): Mounting {
  const user = {uid: process.getuid!(), gid: process.getgid!()};
  const optionsOf = ({readOnly, allowOther, flags, ...of}: FuseMountOptions): string =>
    [
      `fsname=${sourceOf(of)}`, 'subtype=weir', 'default_permissions', ...(allowOther && othersMayBeAllowed() ? ['allow_other'] : []), readOnly ? 'ro' : 'rw', ...flags.filter(flag => allowed.has(flag)),
    ].join(',');
  return {
    user, optionsOf,
    lazily: `${tool} -u -z`,
    async make(options) {
      const device = await received(['-o', optionsOf(options), '--', options.directory]);
      const refused = options.flags.filter(flag => !allowed.has(flag) && !usual.has(flag));
      if (refused.length > 0) log.warn(`fuse: left out, because only root can mount so: ${refused.join(', ')}`);
      if (options.allowOther && !othersMayBeAllowed()) log.warn(`fuse: no other user may use the mount, for there is no line user_allow_other in ${configurationFile}`);
      return device;
    },
    async unmount(directory) {
      await unmountBy(tool, ['-u', '--', directory], ['-u', '-z', '--', directory]);
    },
  };
}

function othersMayBeAllowed(): boolean {
  try {
    return fs.readFileSync(configurationFile, 'utf8').split('\n').some(line => line.trim() === 'user_allow_other');
  } catch {
    return false;
  }
}

/** The device that comes with the one message that the tool sends before it ends. */
async function received(args: readonly string[]): Promise<number> {
  const calls = keeperCalls()!;
  const pair = calls.socketPair();
  if (typeof pair === 'number') throw new WeirError('Overloaded', `no descriptors for ${tool} (errno ${-pair})`);
  const [ours, its] = pair;
  try {
    try {
      await runTool(tool, args, {descriptor: its, env: {_FUSE_COMMFD: String(socketOfChild)}});
    } catch (cause) {
      if ((cause as WeirError).kind !== 'Unsupported') throw cause;
      throw new WeirError('Unsupported', `mounting as an ordinary user needs ${tool} (of the package fuse3), which is not installed; or mount as root`, {cause});
    } finally {
      // From now on nobody can write there: reading does not wait.
      fs.closeSync(its);
    }
    const message = calls.receiveDescriptors(ours, Buffer.alloc(16));
    const device = typeof message === 'number' ? undefined : message.descriptors[0];
    if (device === undefined) throw new WeirError('Io', `${tool} has ended well and sent no device`);
    return device;
  } finally {
    fs.closeSync(ours);
  }
}
