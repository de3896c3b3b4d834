/**
 * The home directory of an instance, and who lives in it.
 *
 *   lock            held by the running instance, freed by the system however it ends
 *   instance.json   its process id and addresses; without a holder of the lock it is a left-over
 *   keys.json       the root key (keys.ts)
 *   state/          the metastore: log/, db/, and cache.json (cache-tiers.ts)
 *   cache/          the default cache tier
 *   drafts/         files that are being written on a mount (worker/drafts/)
 *   mounts/         sockets of those who keep mounts (runtime/node/fuse/keeper/)
 *   data/           the under store of `/`
 *   log/weir.log    structured logs
 *   log/audit.log   who changed what, and who was denied (audit-log.ts)
 *
 * Directories are 0700 and files 0600: nobody but the owner reads keys, metadata or cached bytes.
 */
import {isKind, WeirError} from '#base/errors.ts';
import type {InstanceInfo} from '#cli/environment.ts';
import {makeLastingDirectory} from '#journal/lasting-directory.ts';
import {readWhole, writeWhole} from '#process/small-files.ts';
import type {Disk} from '#runtime/disk.ts';

export interface Home {
  readonly directory: string;
  readonly lock: string;
  readonly instance: string;
  readonly keys: string;
  readonly state: string;
  /** The state that a restore has put out of the way, for as long as the new one has not got its name; kept when there was one to replace. */
  readonly stateBefore: string;
  readonly metadataLog: string;
  readonly metadata: string;
  readonly cache: string;
  readonly drafts: string;
  readonly mounts: string;
  readonly data: string;
  readonly logFile: string;
  readonly auditFile: string;
}

export function homeAt(directory: string): Home {
  const state = `${directory}/state`;
  return {
    directory,
    lock: `${directory}/lock`,
    instance: `${directory}/instance.json`,
    keys: `${directory}/keys.json`,
    state,
    stateBefore: `${directory}/state.before-restore`,
    metadataLog: `${state}/log`,
    metadata: `${state}/db`,
    cache: `${directory}/cache`,
    drafts: `${directory}/drafts`,
    mounts: `${directory}/mounts`,
    data: `${directory}/data`,
    logFile: `${directory}/log/weir.log`,
    auditFile: `${directory}/log/audit.log`,
  };
}

/** `--home`, else $WEIR_HOME, else ~/.weir; absolute. InvalidArgument when nothing says where. */
export function homeDirectory(given: string | undefined, variables: Readonly<Record<string, string | undefined>>, workingDirectory: string): string {
  const text = given ?? (variables['WEIR_HOME'] || (variables['HOME'] && `${variables['HOME']}/.weir`));
  if (!text) throw new WeirError('InvalidArgument', 'neither --home nor $WEIR_HOME nor $HOME says where the home is');
  const absolute = text.startsWith('/') ? text : `${workingDirectory}/${text}`;
  return absolute.replace(/(?<=.)\/+$/, '');
}

/** Makes what is missing and takes the lock. AlreadyRunning; PermissionDenied or ReadOnly where the home cannot be written. */
export async function lockHome(disk: Disk, home: Home): Promise<AsyncDisposable> {
  try {
    await makeLastingDirectory(disk, home.directory.slice(0, home.directory.lastIndexOf('/')) || '/');
    for (const directory of [home.directory, home.state, home.cache, home.data, `${home.directory}/log`]) await disk.makeDirectory(directory, {recursive: true, permissions: 0o700});
    await disk.syncDirectory(home.directory);
  } catch (error) {
    if (!isKind(error, 'PermissionDenied', 'ReadOnly')) throw error;
    throw new WeirError(error.kind, `the home ${home.directory} cannot be written; choose another by --home`, {cause: error});
  }
  try {
    return await disk.lock(home.lock);
  } catch (error) {
    if (!isKind(error, 'AlreadyRunning')) throw error;
    const info = await readInstance(disk, home);
    throw new WeirError('AlreadyRunning', `an instance is already running at ${home.directory}${info ? ` (process ${info.pid}, S3 at ${info.s3})` : ''}`);
  }
}

/** What instance.json says, whether or not that instance still runs. */
export async function readInstance(disk: Disk, home: Home): Promise<InstanceInfo | undefined> {
  const text = await readWhole(disk, home.instance);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as InstanceInfo;
  } catch {
    return undefined; // torn by a crash of the machine: nobody runs who wrote it
  }
}

export async function writeInstance(disk: Disk, home: Home, info: InstanceInfo): Promise<void> {
  await writeWhole(disk, home.instance, `${JSON.stringify(info)}\n`);
}

/** The instance that runs now; undefined when none does, also when a file is left of one. `isAlive` is asked before the lock is tried. */
export async function findInstance(disk: Disk, home: Home, isAlive: (pid: number) => boolean): Promise<InstanceInfo | undefined> {
  const info = await readInstance(disk, home);
  if (!info || !isAlive(info.pid)) return undefined;
  try {
    await using _free = await disk.lock(home.lock);
    return undefined; // another process has got the number since
  } catch (error) {
    if (isKind(error, 'AlreadyRunning')) return info;
    throw error;
  }
}
