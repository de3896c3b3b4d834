/**
 * How a mount is made and taken away. Root opens the device and mounts by mount(8), which takes it as a descriptor; others ask fusermount3
 * (user-mounting.ts). Source: the kernel's Documentation/filesystems/fuse.
 */
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import {WeirError} from '#base/errors.ts';
import type {FuseMountOptions} from '#runtime/fuse.ts';

const deviceFile = '/dev/fuse';
const complaintBytesMax = 1000;

export interface Mounting {
  /** Whose the mount is, where that is not root. */
  readonly user: {readonly uid: number; readonly gid: number} | undefined;
  /** Which options a mount has that is made so: of the same options, it is the same mount. */
  optionsOf(options: FuseMountOptions): string;
  /** The device of a new mount, the caller's from now on. Unsupported, PermissionDenied, Io. */
  make(options: FuseMountOptions): Promise<number>;
  /** The command that does so in any case, for a message. */
  readonly lazily: string;
  /** Lazily where it is in use: no new name leads there, and what is open ends when it is closed. What is no mount is left alone. */
  unmount(directory: string): Promise<void>;
}

export const rootMounting: Mounting = {
  user: undefined,
  lazily: 'umount -l',
  /** The descriptor is the child's number 3. */
  optionsOf({readOnly, allowOther, flags}) {
    const identity = `fd=3,rootmode=040000,user_id=${process.getuid?.() ?? 0},group_id=${process.getgid?.() ?? 0}`;
    return `${identity},default_permissions${allowOther ? ',allow_other' : ''}${readOnly ? ',ro' : ',rw'}${flags.map(flag => `,${flag}`).join('')},subtype=weir`;
  },
  async make(options) {
    let device: number;
    try {
      device = fs.openSync(deviceFile, 'r+');
    } catch (cause) {
      throw new WeirError('Unsupported', `${deviceFile} cannot be opened: a container needs it as a device, with CAP_SYS_ADMIN`, {cause});
    }
    try {
      await runTool('mount', ['-i', '-t', 'fuse', '-o', this.optionsOf(options), sourceOf(options), options.directory], {descriptor: device});
      return device;
    } catch (error) {
      fs.closeSync(device);
      throw error;
    }
  },
  async unmount(directory) {
    await unmountBy('umount', ['-i', directory], ['-i', '-l', directory]);
  },
};

/** Without what mount(8) and fusermount3 would take for the end of an option, or of a line in their tables. */
export function sourceOf({source, subdirectory}: Pick<FuseMountOptions, 'source' | 'subdirectory'>): string {
  return (subdirectory === undefined ? source : `${source}:${subdirectory}`).replaceAll(/[\s,\\]/g, '_');
}

export async function unmountBy(tool: string, args: readonly string[], lazyArgs: readonly string[]): Promise<void> {
  try {
    await runTool(tool, args);
  } catch (error) {
    const complaint = String((error as WeirError).message);
    if (/not mounted|no mount point|not found in/i.test(complaint)) return;
    if (!/busy/i.test(complaint)) throw error;
    await runTool(tool, lazyArgs);
  }
}

/** Runs it to its end; `descriptor` is its number 3. Answers what it had to say, all the same. Unsupported where it is not installed, PermissionDenied, Io. */
export async function runTool(tool: string, args: readonly string[], {descriptor, env = {}}: {readonly descriptor?: number; readonly env?: Readonly<Record<string, string>>} = {}): Promise<string> {
  const child = spawn(tool, args, {stdio: ['ignore', 'ignore', 'pipe', ...(descriptor === undefined ? [] : [descriptor])], env: {...process.env, ...env, LC_ALL: 'C'}});
  let complaint = '';
  child.stderr!.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, complaintBytesMax)));
  const {promise, resolve, reject} = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  let status: number | null;
  try {
    status = await promise;
  } catch (cause) {
    throw new WeirError('Unsupported', `${tool} could not be run (${(cause as NodeJS.ErrnoException).code})`, {cause});
  }
  if (status !== 0) throw new WeirError(/permission|permitted/i.test(complaint) ? 'PermissionDenied' : 'Io', `${tool} failed: ${complaint.trim() || `status ${status}`}`);
  return complaint.trim();
}
