/**
 * A disk from a seed. Every call takes a little random time, so that calls under way at once end in any order; a crash can come between
 * any two. What survives it: platter.ts.
 */
import {type ByteString, toBytes, toText} from '#base/byte-string.ts';
import {type ErrorKind, WeirError} from '#base/errors.ts';
import type {DirectoryEntry, Disk, DiskDirectory, DiskFile, DiskPath, FilePlacer, OpenOptions, PlacedFile} from '#runtime/disk.ts';
import type {Life} from '#runtime/sim/life.ts';
import {placeTogether} from '#runtime/sim/place-together.ts';
import {type NameChange, Platter, type SimDirectory, type SimFile, type SimNode, statOf} from '#runtime/sim/platter.ts';
import {type DiskCalls, type DiskOperation, residentChance, SimOpenFile, times} from '#runtime/sim/sim-open-file.ts';
import {bytesOf, locate, missing, nodeAt, type Place, shown, split} from '#runtime/sim/sim-paths.ts';

const totalBytes = 2 ** 40;
const scanBatchEntries = 100;

/** The disk of one machine over all its lives. Tests hold this; programs hold what `mount` answers. */
export class SimDisk implements DiskCalls {
  /** Calls since the simulation began. */
  readonly counts = {reads: 0, writes: 0, bytesWritten: 0, datasyncs: 0, directorySyncs: 0};
  readonly #platter = new Platter();
  readonly #locks = new Map<SimFile, Life>();
  readonly #faults = new Map<DiskOperation, {kind: ErrorKind; after: number}>();

  /** After `after` more calls of that sort, all of them fail with `kind`, until `heal`. Making files and directories counts as writing. */
  fail(operation: DiskOperation, kind: 'NoSpace' | 'Io' | 'ReadOnly', after = 0): void {
    this.#faults.set(operation, {kind, after});
  }

  heal(): void {
    this.#faults.clear();
  }

  /** Takes the power away: keeps what was synced and some of the rest. */
  crash(life: Life): void {
    this.#platter.crash(life.random);
    this.#locks.clear();
  }

  /** The Disk for one life of the machine. */
  mount(life: Life): Disk {
    const platter = this.#platter;
    const nowNs = (): bigint => BigInt(Math.floor(life.scheduler.nowMs * 1e6));
    const wait = ([min, max]: readonly [number, number]): Promise<void> => life.pause(min, max);
    const opened: OpenDirectory[] = [];
    const placeOf = (path: DiskPath): Place => {
      const [, number, name] = /^\/descriptor\/(\d+)\/([^]+)$/.exec(bytesOf(path)) ?? [];
      if (number === undefined) return locate(platter.root, path);
      const {node, at} = opened[Number(number)]!;
      if (nodeAt(platter.root, at) !== node) return missing(path);
      return locate(platter.root, toBytes(`${bytesOf(at)}/${name}` as ByteString));
    };
    const existing = async (path: DiskPath): Promise<SimNode> => {
      await wait(times.name);
      return placeOf(path).node ?? missing(path);
    };
    const directory = async (path: DiskPath): Promise<SimDirectory> => {
      const node = await existing(path);
      if (node.kind !== 'directory') throw new WeirError('NotADirectory', `${shown(path)} is not a directory`);
      return node;
    };
    const link = (...changes: NameChange[]): void => platter.link(changes, nowNs());
    const make = (parent: SimDirectory, name: string, node: SimNode): void => link({directory: parent, name, node});

    const open = async (path: DiskPath, options: OpenOptions): Promise<DiskFile> => {
      await wait(times.name);
      const {parent, name, node, canonical} = placeOf(path);
      if (options.beneath !== undefined && options.beneath !== '/' && !canonical.startsWith(`${options.beneath}/`)) {
        throw new WeirError('PermissionDenied', `${shown(path)} leads out of its directory`);
      }
      if (node?.kind === 'directory') throw new WeirError('IsADirectory', `opening ${shown(path)}: it is a directory`);
      if (node && options.mode === 'exclusive') throw new WeirError('AlreadyExists', `opening ${shown(path)}: it exists`);
      let file = node;
      if (!file) {
        if (options.mode === 'read' || options.mode === 'write') return missing(path);
        this.#mayFail('write', path);
        file = platter.newFile(options.permissions ?? 0o600, nowNs());
        make(parent, name, file);
      } else if (options.truncate) file.change({kind: 'cut', size: 0});
      life.note(`open ${canonical}`);
      return new SimOpenFile(this, life, file, canonical, {writable: options.mode !== 'read', durable: options.durable === true}, nowNs);
    };
    const syncDirectory = async (node: SimDirectory, path: DiskPath): Promise<void> => {
      this.#mayFail('sync', path);
      this.counts.directorySyncs++;
      const keep = platter.prepareSync(node);
      await wait(times.sync);
      keep();
    };

    const place = (files: readonly PlacedFile[]) => placeTogether(disk, files);
    const disk: Disk = {
      open,
      placer: () => ({state: 'ready', place, [Symbol.asyncDispose]: () => wait([0, 0])}) satisfies FilePlacer,
      openDirectory: async (path) => {
        const node = await directory(path);
        const number = opened.push({node, at: path}) - 1;
        const at = (name: ByteString): DiskPath => toBytes(`/descriptor/${number}/${name}` as ByteString);
        return {
          isThere: () => nodeAt(platter.root, path) === node,
          at,
          statNow: (name) => {
            life.check();
            const named = node.seen.get(name);
            return named && life.random.chance(residentChance) ? statOf(named) : undefined;
          },
          open: (name, options) => open(at(name), options),
          sync: () => syncDirectory(node, path),
          close: () => wait([0, 0]),
          [Symbol.asyncDispose]: () => wait([0, 0]),
        } satisfies DiskDirectory;
      },
      stat: async (path) => statOf(await existing(path)),
      readDirectory: async (path) => [...(await directory(path)).seen.keys()].map((name) => toText(name as ByteString)),
      scanDirectory: async function* (path): AsyncGenerator<readonly DirectoryEntry[]> {
        const entries = [...(await directory(path)).seen].map(([name, node]): DirectoryEntry => ({name: name as ByteString, kind: node.kind}));
        for (let i = 0; i < entries.length; i += scanBatchEntries) {
          await wait(times.name);
          yield entries.slice(i, i + scanBatchEntries);
        }
      },
      readLink: async (path) => {
        await existing(path);
        throw new WeirError('InvalidArgument', `reading the link ${shown(path)}: it is not a symbolic link`);
      },
      realPath: async (path) => {
        await existing(path);
        return placeOf(path).canonical;
      },
      makeDirectory: async (path, options) => {
        await wait(times.name);
        this.#mayFail('write', path);
        const mode = options?.permissions ?? 0o700;
        if (options?.recursive) {
          let parent = platter.root;
          for (const name of split(path)) {
            let node = parent.seen.get(name);
            if (!node) make(parent, name, (node = platter.newDirectory(mode, nowNs())));
            if (node.kind !== 'directory') throw new WeirError('NotADirectory', `making the directory ${shown(path)}: ${toText(name as ByteString)} is a file`);
            parent = node;
          }
          return;
        }
        const {parent, name, node} = placeOf(path);
        if (node) throw new WeirError('AlreadyExists', `making the directory ${shown(path)}: it exists`);
        make(parent, name, platter.newDirectory(mode, nowNs()));
      },
      unlink: async (path) => {
        await wait(times.name);
        const {parent, name, node} = placeOf(path);
        if (!node) return missing(path);
        if (node.kind === 'directory') throw new WeirError('IsADirectory', `removing ${shown(path)}: it is a directory`);
        link({directory: parent, name, node: undefined});
      },
      removeDirectory: async (path) => {
        await wait(times.name);
        const {parent, name, node} = placeOf(path);
        if (!node) return missing(path);
        if (node.kind !== 'directory') throw new WeirError('NotADirectory', `removing the directory ${shown(path)}: it is a file`);
        if (node.seen.size > 0) throw new WeirError('DirectoryNotEmpty', `removing the directory ${shown(path)}: it is not empty`);
        link({directory: parent, name, node: undefined});
      },
      rename: async (from, to) => {
        await wait(times.name);
        this.#mayFail('write', to);
        const [source, target] = [placeOf(from), placeOf(to)];
        if (!source.node) return missing(from);
        if (source.node === target.node) return;
        if (target.node?.kind === 'directory') {
          if (source.node.kind !== 'directory') throw new WeirError('IsADirectory', `renaming ${shown(from)}: ${shown(to)} is a directory`);
          if (target.node.seen.size > 0) throw new WeirError('DirectoryNotEmpty', `renaming ${shown(from)}: ${shown(to)} is not empty`);
        } else if (target.node && source.node.kind === 'directory') throw new WeirError('NotADirectory', `renaming ${shown(from)}: ${shown(to)} is a file`);
        if (target.canonical.startsWith(`${source.canonical}/`)) throw new WeirError('InvalidArgument', `renaming ${shown(from)} into itself`);
        link({directory: source.parent, name: source.name, node: undefined}, {directory: target.parent, name: target.name, node: source.node});
        life.note(`rename ${source.canonical} ${target.canonical}`);
      },
      link: async (from, to) => {
        await wait(times.name);
        this.#mayFail('write', to);
        const [source, target] = [placeOf(from), placeOf(to)];
        if (!source.node) return missing(from);
        if (target.node) throw new WeirError('AlreadyExists', `naming ${shown(from)} again: ${shown(to)} exists`);
        if (source.node.kind === 'directory') throw new WeirError('PermissionDenied', `naming ${shown(from)} again: it is a directory`);
        link({directory: target.parent, name: target.name, node: source.node});
        life.note(`link ${source.canonical} ${target.canonical}`);
      },
      copy: async (from, to) => {
        await using source = await open(from, {mode: 'read'});
        await using target = await open(to, {mode: 'exclusive'});
        const bytes = new Uint8Array((await source.stat()).size);
        await source.read(bytes, 0);
        await target.write([bytes], 0);
      },
      syncDirectory: async (path) => await syncDirectory(await directory(path), path),
      space: async () => {
        await wait(times.name);
        return {free: totalBytes, total: totalBytes};
      },
      lock: async (path) => {
        await using handle = await open(path, {mode: 'create'});
        const file = (handle as SimOpenFile).file;
        if (this.#locks.get(file)?.alive) throw new WeirError('AlreadyRunning', `another process holds ${shown(path)}`);
        this.#locks.set(file, life);
        return {
          [Symbol.asyncDispose]: () => {
            if (this.#locks.get(file) === life) this.#locks.delete(file);
            return Promise.resolve();
          },
        };
      },
    };
    return disk;
  }

  /** One more call of that sort; throws when its time has come. */
  #mayFail(operation: DiskOperation, path: DiskPath): void {
    const fault = this.#faults.get(operation);
    if (fault && fault.after-- <= 0) throw new WeirError(fault.kind, `${operation} on ${shown(path)}: injected failure`);
  }

  /** Whether the next call of that sort would fail. */
  fails(operation: DiskOperation): boolean {
    const fault = this.#faults.get(operation);
    return fault !== undefined && fault.after <= 0;
  }

  /** For the open files of this disk. */
  begin(operation: DiskOperation, path: string): void {
    this.#mayFail(operation, path);
    this.counts[operation === 'read' ? 'reads' : operation === 'write' ? 'writes' : 'datasyncs']++;
  }
}

interface OpenDirectory {
  readonly node: SimDirectory;
  readonly at: DiskPath;
}
