/**
 * Mounting. Root mounts by mount(8), which takes the open device as a descriptor; a mount whose daemon died is taken away first.
 * Source: the kernel's Documentation/filesystems/fuse.
 */
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import {WeirError} from '#base/errors.ts';
import type {Fuse, FuseDevice, FuseMountOptions} from '#runtime/fuse.ts';
import {fuseDevice} from '#runtime/node/fuse/fuse-device.ts';
import {readFarAhead} from '#runtime/node/fuse/read-ahead.ts';
import {systemError} from '#runtime/node/system-errors.ts';

const deviceFile = '/dev/fuse';

export class NodeFuse implements Fuse {
  async mount(options: FuseMountOptions): Promise<FuseDevice> {
    const {directory} = options;
    if (process.platform !== 'linux') throw new WeirError('Unsupported', 'mounting needs FUSE, which is part of Linux');
    if (process.getuid?.() !== 0) throw new WeirError('Unsupported', 'mounting as an ordinary user is not built yet; mount as root');
    await prepare(directory);
    const place = await fs.promises.realpath(directory);
    let device: number;
    try {
      device = fs.openSync(deviceFile, 'r+');
    } catch (cause) {
      throw new WeirError('Unsupported', `${deviceFile} cannot be opened: a container needs it as a device, with CAP_SYS_ADMIN`, {cause});
    }
    try {
      await run('mount', ['-i', '-t', 'fuse', '-o', mountOptions(options), sourceName(options.source), directory], device);
      await readFarAhead(place);
      const made = fuseDevice(device, () => unmount(directory));
      if (made) return made;
      await unmount(directory);
      throw new WeirError('Unsupported', 'mounting needs the package koffi, which is not installed for this machine');
    } catch (error) {
      fs.closeSync(device);
      throw error;
    }
  }
}

/** The descriptor is the child's number 3. */
function mountOptions({readOnly, allowOther, flags}: FuseMountOptions): string {
  const identity = `fd=3,rootmode=040000,user_id=${process.getuid?.() ?? 0},group_id=${process.getgid?.() ?? 0}`;
  return `${identity},default_permissions${allowOther ? ',allow_other' : ''}${readOnly ? ',ro' : ',rw'}${flags.map(flag => `,${flag}`).join('')},subtype=weir`;
}

/** What mount(8) would take for the end of an option, or of a line in its tables. */
const sourceName = (source: string): string => source.replaceAll(/[\s,\\]/g, '_');

async function prepare(directory: string): Promise<void> {
  try {
    // Not by its attributes, which the kernel may remember of a mount that is dead.
    await (await fs.promises.opendir(directory)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTCONN') throw systemError(error, `cannot mount on ${directory}`);
    await unmount(directory);
  }
}

/** Lazily where it is in use: no new name leads there, and what is open ends when it is closed. */
async function unmount(directory: string): Promise<void> {
  try {
    await run('umount', ['-i', directory]);
  } catch (error) {
    if (!/busy/i.test(String((error as WeirError).message))) {
      if (/not mounted|no mount point/i.test(String((error as WeirError).message))) return;
      throw error;
    }
    await run('umount', ['-i', '-l', directory]);
  }
}

async function run(command: string, args: readonly string[], descriptor?: number): Promise<void> {
  const child = spawn(command, args, {stdio: ['ignore', 'ignore', 'pipe', ...(descriptor === undefined ? [] : [descriptor])], env: {...process.env, LC_ALL: 'C'}});
  let complaint = '';
  child.stderr!.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, 1000)));
  const {promise, resolve, reject} = Promise.withResolvers<number | null>();
  child.once('error', reject);
  child.once('close', resolve);
  let status: number | null;
  try {
    status = await promise;
  } catch (error) {
    throw systemError(error, `${command} could not be run`, 'Unsupported');
  }
  if (status !== 0) throw new WeirError(/permission/i.test(complaint) ? 'PermissionDenied' : 'Io', `${command} failed: ${complaint.trim() || `status ${status}`}`);
}
