/** The instance at a home, as the command line handles it: run, find, stop, restore. What is heavy is loaded when it is used. */
import {WeirError} from '#base/errors.ts';
import type {InstanceControl, InstanceInfo, RootKey, Terminal, UpOptions} from '#cli/environment.ts';
import {findInstance, homeAt, lockHome} from '#process/home.ts';
import {readRootKey} from '#process/keys.ts';
import {exists, removeTree} from '#process/small-files.ts';
import {boundGarbage, descriptorsMax, isAlive, leaveSignal, processFacts, sendStop} from '#runtime/node/process.ts';
import {whereabouts} from '#runtime/node/whereabouts.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface InstanceControlOptions {
  readonly home: string;
  /** The command's own, not the instance's. */
  readonly runtime: Runtime;
  readonly terminal: Terminal;
  readonly version: string;
  readonly signal: AbortSignal;
  /** Asked when the signal has aborted: whether the mounts are left to the next instance. */
  readonly keepMount: () => boolean;
}

/** An instance stops its parts one after the other; each has its deadline. */
const stopMs = 60_000;
/** Files of stores on this host that are kept open: at most so many, and this share of the descriptors. Connections take half of those, the cache some 1 500. */
const openFilesMax = 16_384;
const openFilesShare = 0.2;
const pollMs = 50;

export function instanceControl({home: directory, runtime, terminal, version, signal, keepMount}: InstanceControlOptions): InstanceControl {
  const home = homeAt(directory);
  const {disk, clock} = runtime;

  return {
    home: directory,

    async run(up: UpOptions, onReady: (info: InstanceInfo, key: RootKey) => Promise<void>) {
      const [{startEmbedded}, {instanceRuntime}, {createHttp}] = await Promise.all([import('#process/embedded.ts'), import('#process/instance-runtime.ts'), import('#runtime/node/http/node-http.ts')]);
      const [{NodeFuse}, {servingThreads}] = await Promise.all([import('#runtime/node/fuse/node-fuse.ts'), import('#process/serving/start-serving.ts')]);
      boundGarbage();
      await usableHome(directory);
      const real = instanceRuntime(home, terminal);
      const options = {home: directory, up, version, pid: processFacts.id, variables: processFacts.environment, whereabouts: whereabouts()};
      const keptOpen = Math.min(openFilesMax, Math.floor(descriptorsMax() * openFilesShare));
      await using instance = await startEmbedded(options, {runtime: real, http: createHttp({log: real.log}), fuse: log => new NodeFuse(log), serving: servingThreads, openFilesMax: keptOpen, signal});
      await onReady(instance.info, instance.key);
      await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), {once: true})));
      real.log.info('stopping');
      if (keepMount()) await instance.leaveMounts();
    },

    find: () => findInstance(disk, home, isAlive),

    async key() {
      const key = await readRootKey(runtime, home);
      if (!key) throw new WeirError('NotFound', `${directory} has no keys yet; they are made at the first weir up`);
      return key;
    },

    async stop(info, {keepMount: keep}) {
      sendStop(info.pid, keep ? leaveSignal : 'SIGTERM');
      const deadline = clock.monotonicMs() + stopMs;
      while (isAlive(info.pid) && (await findInstance(disk, home, isAlive))) {
        if (clock.monotonicMs() > deadline) throw new WeirError('Timeout', `process ${info.pid} has not stopped within ${stopMs / 1000} s`);
        await clock.sleep(pollMs, {signal});
      }
    },

    async endMounts() {
      await using _lock = await lockHome(disk, home);
      const {NodeFuse} = await import('#runtime/node/fuse/node-fuse.ts');
      return await new NodeFuse(runtime.log).endLeft(home.mounts);
    },

    async restore(backup, {force}) {
      await using _lock = await lockHome(disk, home);
      const there = await exists(disk, home.metadata);
      if (there && !force) throw new WeirError('AlreadyExists', `${directory} holds metadata already; --force replaces it`);
      const fresh = homeAt(`${directory}/restoring`);
      await removeTree(disk, fresh.directory);
      const {restoreState} = await import('#process/restore-state.ts');
      const restored = await restoreState(runtime, fresh, backup);
      // From here on the old state is out of the way and kept until the new one has its name.
      await removeTree(disk, home.stateBefore);
      await disk.rename(home.state, home.stateBefore);
      await disk.rename(fresh.state, home.state);
      await disk.syncDirectory(directory);
      await removeTree(disk, fresh.directory);
      // What was replaced is the user's, who may want it back: it stays until the next restore.
      if (there) return {...restored, replaced: home.stateBefore};
      await removeTree(disk, home.stateBefore);
      return restored;
    },

    async demo({megabytes}) {
      const {runDemo} = await import('#process/demo.ts');
      await runDemo(terminal, {megabytes, version, signal});
    },
  };

  /** Says in time, and in one sentence, that the home cannot be used: before a log is opened in it. */
  async function usableHome(path: string): Promise<void> {
    await using _lock = await lockHome(disk, homeAt(path));
  }
}
