/**
 * A directory, or the whole tree below it, in byte order of keys, in bounded memory. A file system lists in no order, so a
 * directory is scanned, the smallest names are kept and sorted, and when they are used up it is scanned again for those behind: few
 * at first, because sorting is what a first page of a large directory would wait for, then more, up to `windowNames`. A directory
 * sorts as `name/`.
 */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {Disk, FileStat} from '#runtime/disk.ts';
import {diskPath, ownDirectory, readName} from '#connectors/file/names.ts';

const firstWindowNames = 4096;
const windowGrowth = 4;

export interface Found {
  /** Directories end in `/`. */
  readonly key: ByteString;
  readonly kind: FileStat['kind'];
  /** Absolute. */
  readonly path: ByteString;
}

export interface WalkOptions {
  /** Only names in the first directory that start with this. */
  readonly namePrefix: ByteString;
  /** Only keys greater than this. */
  readonly after: ByteString | undefined;
  readonly recursive: boolean;
  readonly windowNames: number;
}

interface Entry {
  /** The name as it sorts: with a trailing `/` for directories. */
  readonly name: ByteString;
  readonly kind: FileStat['kind'];
  /** Relative to the directory scanned. */
  readonly path: string;
}

/** Walks the directory `path` (absolute), whose key is `key` (`''`, or ending in `/`). The directory itself is not among what is found. */
export async function* walk(disk: Disk, path: ByteString, key: ByteString, options: WalkOptions): AsyncGenerator<Found, void, undefined> {
  let after = startIn(key, options.after);
  if (after === 'behind') return;
  for (let count = Math.min(firstWindowNames, options.windowNames); ; count = Math.min(count * windowGrowth, options.windowNames)) {
    const window: Entry[] = await smallestNames(disk, path, key === '', options.namePrefix, after, options.recursive, count);
    for (const entry of window) {
      const child = (key + entry.name) as ByteString;
      const childPath = `${path}/${entry.path}` as ByteString;
      if (options.after === undefined || child > options.after) yield {key: child, kind: entry.kind, path: childPath};
      if (options.recursive && entry.kind === 'directory') yield* walk(disk, childPath, child, {...options, namePrefix: '' as ByteString});
    }
    if (window.length < count) return;
    after = {name: window.at(-1)!.name, inside: false};
  }
}

/** Names up to this one are done; the one that it lies `inside` of is not. */
interface Start {
  readonly name: ByteString;
  readonly inside: boolean;
}

/** Where in the directory `key` to go on for a walk that starts after a key; `behind`: the directory is done. */
function startIn(key: ByteString, after: ByteString | undefined): Start | 'behind' | undefined {
  if (after === undefined || after <= key) return undefined;
  if (!after.startsWith(key)) return after > key ? 'behind' : undefined;
  const rest = after.slice(key.length) as ByteString;
  const slash = rest.indexOf('/');
  if (slash === -1 || slash === rest.length - 1) return {name: rest, inside: slash !== -1};
  return {name: rest.slice(0, slash + 1) as ByteString, inside: true};
}

async function smallestNames(disk: Disk, path: ByteString, top: boolean, prefix: ByteString, after: Start | undefined, recursive: boolean, count: number): Promise<Entry[]> {
  let best: Entry[] = [];
  let cutoff: ByteString | undefined;
  const order = (a: Entry, b: Entry): number => (a.name < b.name ? -1 : 1);
  for await (const batch of names(disk, path, '', '' as ByteString)) {
    for (const entry of batch) {
      if (top && entry.name === `${ownDirectory}/`) continue;
      if (!entry.name.startsWith(prefix) || (cutoff !== undefined && entry.name >= cutoff)) continue;
      // A recursive walk that starts within a directory has to enter it again.
      if (after && (entry.name < after.name || (entry.name === after.name && !(after.inside && recursive)))) continue;
      best.push(entry);
      if (best.length === 2 * count) {
        best = best.sort(order).slice(0, count);
        cutoff = best.at(-1)!.name;
      }
    }
  }
  return best.sort(order).slice(0, count);
}

/** All names that the directory stands for, unsorted, in batches; the pieces of long names put together. */
async function* names(disk: Disk, path: ByteString, below: string, beginning: ByteString): AsyncGenerator<readonly Entry[], void, undefined> {
  try {
    for await (const batch of disk.scanDirectory(diskPath(path))) {
      const entries: Entry[] = [];
      for (const {name: onDisk, kind: said} of batch) {
        const read = readName(onDisk);
        const inChain = beginning !== '';
        if (!read || (read.form !== 'piece' && inChain !== (read.form === 'last'))) continue;
        const kind = said === 'other' ? await kindOf(disk, `${path}/${onDisk}` as ByteString) : said;
        if (read.form === 'piece') {
          if (kind === 'directory') yield* names(disk, `${path}/${onDisk}` as ByteString, `${below}${onDisk}/`, (beginning + read.name) as ByteString);
          continue;
        }
        if (kind === 'other' || (read.form === 'shadowed' && kind !== 'file')) continue;
        const name = beginning + read.name;
        entries.push({name: (kind === 'directory' ? `${name}/` : name) as ByteString, kind, path: below + onDisk});
      }
      yield entries;
    }
  } catch (error) {
    // Removed while we walked, or never there: an empty directory.
    if (!isKind(error, 'NotFound', 'NotADirectory')) throw error;
  }
}

/** Some file systems do not say the kind in their listings. */
async function kindOf(disk: Disk, path: ByteString): Promise<FileStat['kind']> {
  try {
    return (await disk.stat(diskPath(path))).kind;
  } catch (error) {
    if (isKind(error, 'NotFound')) return 'other';
    throw error;
  }
}
