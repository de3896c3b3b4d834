/**
 * Mounting. Root mounts by mount(8), which takes the open device as a descriptor; a mount whose daemon died is taken away first.
 * Source: the kernel's Documentation/filesystems/fuse.
 */
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import {WeirError} from '#base/errors.ts';
import type {Fuse, FuseDevice, FuseMountOptions} from '#runtime/fuse.ts';
import {readFarAhead} from '#runtime/node/fuse/read-ahead.ts';
import type {Log} from '#runtime/log.ts';
import {type DeviceKeeper, fuseDevice} from '#runtime/node/fuse/fuse-device.ts';
import {endKept, findKept, Keeper, keeperNames, takeFrom} from '#runtime/node/fuse/keeper/keeper.ts';
import {keeperProtocol} from '#runtime/node/fuse/keeper/protocol.ts';
import {keeperCalls} from '#runtime/node/native/keeper-calls.ts';
import {systemError} from '#runtime/node/system-errors.ts';

const deviceFile = '/dev/fuse';
/** Longer than anybody needs to start a daemon again, and short enough for programs that wait for one that never comes. */
const unservedMsMax = 600_000;
/** A mount that does not answer is one that is kept for somebody else's daemon. */
const answerMs = 5_000;

export class NodeFuse implements Fuse {
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  async takeOver(options: FuseMountOptions): Promise<FuseDevice | undefined> {
    const calls = keeperCalls();
    const place = placeOf(options);
    const kept = calls && place && findKept(calls, place, options.directory);
    if (!kept) return undefined;
    const {device, memory, mount} = kept;
    if (mount.protocol !== keeperProtocol || mount.options !== mountOptions(options) || calls.hasEnded(device)) {
      this.#log.warn('fuse: a mount that was left cannot be gone on with: it was made with other options, or was taken away', {directory: options.directory});
      await endKept(kept);
      await unmount(options.directory);
      return undefined;
    }
    return fuseDevice(device, () => unmount(options.directory), {keeper: Keeper.on(place, kept, this.#log), memory});
  }

  async endLeft(keeper: string): Promise<readonly string[]> {
    const calls = keeperCalls();
    const ended: string[] = [];
    for (const name of calls ? keeperNames(keeper) : []) {
      const kept = takeFrom(calls!, keeper, name);
      if (!kept) continue;
      await endKept(kept);
      await unmount(kept.mount.directory);
      ended.push(kept.mount.directory);
    }
    return ended;
  }

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
      const made = fuseDevice(device, () => unmount(directory), await this.#kept(options, device));
      if (made) return made;
      await unmount(directory);
      throw new WeirError('Unsupported', 'mounting needs the package koffi, which is not installed for this machine');
    } catch (error) {
      fs.closeSync(device);
      throw error;
    }
  }

  /** Where it cannot be kept, the mount is none the worse while this process lives. */
  async #kept(options: FuseMountOptions, device: number): Promise<DeviceKeeper | undefined> {
    const [calls, place] = [keeperCalls(), placeOf(options)];
    if (!calls || !place) return undefined;
    const memory = calls.memoryFile();
    if (memory < 0) return undefined;
    try {
      const mount = {protocol: keeperProtocol, directory: options.directory, options: mountOptions(options)};
      return {keeper: await Keeper.start(place, {mount, device, memory}, this.#log), memory};
    } catch (error) {
      fs.closeSync(memory);
      this.#log.warn('fuse: the mount has no keeper, and ends with this process', {error});
      return undefined;
    }
  }
}

const placeOf = ({keeper}: FuseMountOptions) => (keeper === undefined ? undefined : {directory: keeper, patienceMs: unservedMsMax});

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
    const opened = fs.promises.opendir(directory).then(async found => await found.close());
    const {promise: late, reject} = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new WeirError('Busy', `${directory} is a mount that does not answer, kept for another daemon; take it away with umount -l`)), answerMs);
    await Promise.race([opened, late]).finally(() => clearTimeout(timer));
  } catch (error) {
    if (error instanceof WeirError) throw error;
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
