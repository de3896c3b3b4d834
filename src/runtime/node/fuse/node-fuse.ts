/** Mounting, and going on with a mount whose daemon has gone; one that is dead is taken away first. Source: the kernel's Documentation/filesystems/fuse. */
import fs from 'node:fs';
import {isKind, WeirError} from '#base/errors.ts';
import type {Fuse, FuseDevice, FuseMountOptions, KeptMemory} from '#runtime/fuse.ts';
import {readFarAhead} from '#runtime/node/fuse/read-ahead.ts';
import type {Log} from '#runtime/log.ts';
import {type DeviceKeeper, keptMemory, NodeFuseDevice} from '#runtime/node/fuse/fuse-device.ts';
import {lockFile} from '#runtime/node/file-lock.ts';
import {askWhose, closeKept, endKept, findKept, Keeper, keeperNames, lockName, takeFrom} from '#runtime/node/fuse/keeper/keeper.ts';
import {keeperProtocol} from '#runtime/node/fuse/keeper/protocol.ts';
import {type Mounting, rootMounting} from '#runtime/node/fuse/mounting.ts';
import {userMounting} from '#runtime/node/fuse/user-mounting.ts';
import {fuseCalls} from '#runtime/node/native/fuse-calls.ts';
import {keeperCalls} from '#runtime/node/native/keeper-calls.ts';
import {systemError} from '#runtime/node/system-errors.ts';

/** Longer than anybody needs to start a daemon again, and short enough for programs that wait for one that never comes. */
const unservedMsMax = 600_000;
/** A mount that does not answer is one that is kept for somebody else's daemon. */
const answerMs = 5_000;

export class NodeFuse implements Fuse {
  readonly #log: Log;
  readonly #mounting: Mounting;
  /** Of directories that are served by this, or about to be. */
  readonly #claims = new Map<string, AsyncDisposable>();
  #freed: Promise<unknown> = Promise.resolve();

  constructor(log: Log) {
    this.#log = log;
    this.#mounting = process.getuid?.() === 0 ? rootMounting : userMounting(log);
  }

  async takeOver(options: FuseMountOptions): Promise<FuseDevice | undefined> {
    const calls = keeperCalls();
    const place = placeOf(options);
    if (calls && place) await this.#claim(place.directory, options.directory);
    const kept = calls && place && findKept(calls, place, options.directory);
    if (!kept) {
      this.#unclaim(options.directory);
      return undefined;
    }
    const {device, memory, mount} = kept;
    if (mount.protocol !== keeperProtocol || mount.options !== this.#asked(options) || calls.hasEnded(device)) {
      this.#log.warn('fuse: a mount that was left cannot be gone on with: it was made with other options, or was taken away', {directory: options.directory});
      await endKept(kept);
      await this.#mounting.unmount(options.directory);
      this.#unclaim(options.directory);
      return undefined;
    }
    return this.#device(device, options.directory, {keeper: Keeper.on(place, kept, this.#log), memory});
  }

  async endLeft(keeper: string): Promise<readonly string[]> {
    const calls = keeperCalls();
    const ended: string[] = [];
    for (const name of calls ? keeperNames(keeper) : []) {
      const kept = takeFrom(calls!, keeper, name);
      if (!kept) continue;
      const {directory} = kept.mount;
      if (!(await this.#isFree(keeper, directory))) {
        closeKept(kept);
        continue;
      }
      await endKept(kept);
      await this.#mounting.unmount(directory);
      ended.push(directory);
    }
    return ended;
  }

  keptIn(keeper: string): readonly (KeptMemory & Disposable)[] {
    const calls = keeperCalls();
    const found = calls ? keeperNames(keeper).map(name => takeFrom(calls, keeper, name)) : [];
    return found.flatMap(kept => (kept ? [{...keptMemory(kept.memory, () => true), [Symbol.dispose]: () => closeKept(kept)}] : []));
  }

  async keptHeads(keeper: string): Promise<readonly Uint8Array[]> {
    const heads = await Promise.all(keeperNames(keeper).map(name => askWhose(keeper, name).catch(() => undefined)));
    return heads.filter(head => head !== undefined);
  }

  async mount(options: FuseMountOptions): Promise<FuseDevice> {
    const {directory, keeper} = options;
    if (process.platform !== 'linux') throw new WeirError('Unsupported', 'mounting needs FUSE, which is part of Linux');
    if (!keeperCalls() || !fuseCalls()) throw new WeirError('Unsupported', 'mounting needs the package koffi, which is not installed for this machine');
    if (keeper !== undefined) await this.#claim(keeper, directory);
    try {
      return await this.#mount(options);
    } catch (error) {
      this.#unclaim(directory);
      throw error;
    }
  }

  async #mount(options: FuseMountOptions): Promise<FuseDevice> {
    const {directory} = options;
    if (await this.isDead(directory)) await this.#mounting.unmount(directory);
    const place = await fs.promises.realpath(directory);
    const device = await this.#mounting.make(options);
    try {
      await readFarAhead(place);
      return this.#device(device, directory, await this.#kept(options, device));
    } catch (error) {
      fs.closeSync(device);
      await this.#mounting.unmount(directory);
      throw error;
    }
  }

  async isDead(directory: string): Promise<boolean> {
    try {
      // Not by its attributes, which the kernel may remember of a mount that is dead.
      const opened = fs.promises.opendir(directory).then(async found => await found.close());
      const {promise: late, reject} = Promise.withResolvers<void>();
      const timer = setTimeout(() => reject(new WeirError('Busy', `${directory} is a mount that does not answer, kept for another daemon; take it away with ${this.#mounting.lazily}`)), answerMs);
      await Promise.race([opened, late]).finally(() => clearTimeout(timer));
      return false;
    } catch (error) {
      if (error instanceof WeirError) throw error;
      if ((error as NodeJS.ErrnoException).code === 'ENOTCONN') return true;
      throw systemError(error, `cannot mount on ${directory}`);
    }
  }

  #device(device: number, directory: string, keeper: DeviceKeeper | undefined): FuseDevice {
    return new NodeFuseDevice(device, fuseCalls()!, {unmount: () => this.#mounting.unmount(directory), release: () => this.#unclaim(directory), user: this.#mounting.user, keeper});
  }

  /** One process serves a mount, and no other takes it over meanwhile. Freed with the process. Busy. */
  async #claim(keeper: string, directory: string): Promise<void> {
    if (this.#claims.has(directory)) return;
    await this.#freed;
    await fs.promises.mkdir(keeper, {recursive: true, mode: 0o700});
    try {
      this.#claims.set(directory, await lockFile(`${keeper}/${lockName(directory)}`));
    } catch (error) {
      if (!isKind(error, 'AlreadyRunning')) throw error;
      throw new WeirError('Busy', `${directory} is a mount of another process, which lives`, {cause: error});
    }
  }

  #unclaim(directory: string): void {
    const claim = this.#claims.get(directory);
    this.#claims.delete(directory);
    if (claim) this.#freed = Promise.allSettled([this.#freed, claim[Symbol.asyncDispose]()]);
  }

  async #isFree(keeper: string, directory: string): Promise<boolean> {
    if (this.#claims.has(directory)) return false;
    try {
      await this.#claim(keeper, directory);
    } catch (error) {
      if (isKind(error, 'Busy')) return false;
      throw error;
    }
    this.#unclaim(directory);
    return true;
  }

  /** How, and of what; a daemon that is asked for another mount does not go on with this one. */
  #asked(options: FuseMountOptions): string {
    const how = this.#mounting.optionsOf(options);
    return options.subdirectory === undefined ? how : `${how} ${options.subdirectory}`;
  }

  /** Where it cannot be kept, the mount is none the worse while this process lives. */
  async #kept(options: FuseMountOptions, device: number): Promise<DeviceKeeper | undefined> {
    const [calls, place] = [keeperCalls(), placeOf(options)];
    if (!calls || !place) return undefined;
    const memory = calls.memoryFile();
    if (memory < 0) return undefined;
    try {
      const mount = {protocol: keeperProtocol, directory: options.directory, options: this.#asked(options)};
      return {keeper: await Keeper.start(place, {mount, device, memory}, this.#log), memory};
    } catch (error) {
      fs.closeSync(memory);
      this.#log.warn('fuse: the mount has no keeper, and ends with this process', {error});
      return undefined;
    }
  }
}

const placeOf = ({keeper}: FuseMountOptions) => (keeper === undefined ? undefined : {directory: keeper, patienceMs: unservedMsMax});
