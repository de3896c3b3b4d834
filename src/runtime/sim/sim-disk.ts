/**
 * A disk from a seed. Every call takes a little random time, so that calls under way at once end in any order; a crash can come between
 * any two. What survives it: platter.ts.
 */
import {type ByteString, fromBytes, fromText, toBytes, toText} from '#base/byte-string.ts';
import {type ErrorKind, isKind, WeirError} from '#base/errors.ts';
import type {Descriptor} from '#model/file-lease.ts';
import {
  type DirectoryEntry, type Disk, type DiskDirectory, type DiskFile, type DiskPath, type FilePlacer, type FileStat, type OpenOptions, type PlacedFile, writeNowBytesMax,
} from '#runtime/disk.ts';
import type {Life} from '#runtime/sim/life.ts';
import {type NameChange, Platter, type SimDirectory, type SimFile, type SimNode, statOf} from '#runtime/sim/platter.ts';

const nameBytesMax = 255;
const totalBytes = 2 ** 40;
const scanBatchEntries = 100;
/** How often what is asked for on the spot is there, or done. */
const residentChance = 0.75;

/** Virtual milliseconds of each kind of call, from quickest to slowest. */
const times = {name: [0.01, 0.1], read: [0.02, 0.3], write: [0.01, 0.2], sync: [0.2, 4]} as const;

type Operation = 'read' | 'write' | 'sync';

/** The disk of one machine over all its lives. Tests hold this; programs hold what `mount` answers. */
export class SimDisk {
  /** Calls since the simulation began. */
  readonly counts = {reads: 0, writes: 0, bytesWritten: 0, datasyncs: 0, directorySyncs: 0};
  readonly #platter = new Platter();
  readonly #locks = new Map<SimFile, Life>();
  readonly #faults = new Map<Operation, {kind: ErrorKind; after: number}>();

  /** After `after` more calls of that sort, all of them fail with `kind`, until `heal`. Making files and directories counts as writing. */
  fail(operation: Operation, kind: 'NoSpace' | 'Io' | 'ReadOnly', after = 0): void {
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
      return new OpenFile(this, life, file, canonical, {writable: options.mode !== 'read', durable: options.durable === true}, nowNs);
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
        const file = (handle as OpenFile).file;
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
  #mayFail(operation: Operation, path: DiskPath): void {
    const fault = this.#faults.get(operation);
    if (fault && fault.after-- <= 0) throw new WeirError(fault.kind, `${operation} on ${shown(path)}: injected failure`);
  }

  /** Whether the next call of that sort would fail. */
  fails(operation: Operation): boolean {
    const fault = this.#faults.get(operation);
    return fault !== undefined && fault.after <= 0;
  }

  /** For the open files of this disk. */
  begin(operation: Operation, path: string): void {
    this.#mayFail(operation, path);
    this.counts[operation === 'read' ? 'reads' : operation === 'write' ? 'writes' : 'datasyncs']++;
  }
}

interface OpenDirectory {
  readonly node: SimDirectory;
  readonly at: DiskPath;
}

interface OpenWays {
  readonly writable: boolean;
  readonly durable: boolean;
}

const filesOfDescriptors = new WeakMap<Descriptor, SimFile>();

class OpenFile implements DiskFile {
  readonly descriptor = Object.freeze({}) as Descriptor;
  readonly file: SimFile;
  readonly #disk: SimDisk;
  readonly #life: Life;
  readonly #path: string;
  readonly #ways: OpenWays;
  readonly #nowNs: () => bigint;
  #closed = false;

  constructor(disk: SimDisk, life: Life, file: SimFile, path: string, ways: OpenWays, nowNs: () => bigint) {
    this.#disk = disk;
    this.#life = life;
    this.file = file;
    filesOfDescriptors.set(this.descriptor, file);
    this.#path = path;
    this.#ways = ways;
    this.#nowNs = nowNs;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#check();
    this.#disk.begin('read', this.#path);
    await this.#life.pause(...times.read);
    return this.file.seen.read(into, position);
  }

  readResident(into: Uint8Array, position: number): number | undefined {
    this.#life.check();
    this.#check();
    return this.#life.random.chance(residentChance) ? this.file.seen.read(into, position) : undefined;
  }

  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    this.#check(true);
    this.#disk.begin('write', this.#path);
    // In the cache of the system from now on: a crash while this waits may keep parts of it.
    if (this.#life.alive) this.#put(buffers, position);
    if (!this.#ways.durable) return await this.#life.pause(...times.write);
    this.#disk.begin('sync', this.#path);
    const keep = this.file.prepareSync(buffers.length);
    await this.#life.pause(...times.sync);
    keep();
    this.#life.note(`datasync ${this.#path}`);
  }

  writeNow(buffer: Uint8Array, position: number): boolean {
    this.#check();
    const {writable, durable} = this.#ways;
    // What a dead life is refused it asks for again, and waits.
    if (!this.#life.alive || !writable || durable || buffer.length > writeNowBytesMax || !this.#life.random.chance(residentChance) || this.#disk.fails('write')) return false;
    this.#disk.begin('write', this.#path);
    this.#put([buffer], position);
    return true;
  }

  beginWriteBack(): void {
    this.#check();
  }

  async copyFrom(source: Descriptor, from: number, length: number, position: number): Promise<boolean> {
    this.#check(true);
    if (!this.#life.random.chance(residentChance)) return false;
    const bytes = new Uint8Array(length);
    if (filesOfDescriptors.get(source)!.seen.read(bytes, from) < length) return false;
    await this.write([bytes], position);
    return true;
  }

  async datasync(): Promise<void> {
    this.#check();
    this.#disk.begin('sync', this.#path);
    const keep = this.file.prepareSync();
    await this.#life.pause(...times.sync);
    keep();
    this.#life.note(`datasync ${this.#path}`);
  }

  async truncate(size: number): Promise<void> {
    this.#check(true);
    this.#disk.begin('write', this.#path);
    await this.#life.pause(...times.write);
    this.#change({kind: 'cut', size});
  }

  async punch(offset: number, length: number): Promise<void> {
    this.#check(true);
    this.#disk.begin('write', this.#path);
    await this.#life.pause(...times.write);
    this.#change({kind: 'zero', position: offset, length});
  }

  /** Without holes, as some file systems are. */
  async seek(position: number, to: 'data' | 'hole'): Promise<number | undefined> {
    const {size} = await this.stat();
    if (position >= size) return to === 'data' ? undefined : size;
    return to === 'data' ? position : size;
  }

  async stat(): Promise<FileStat> {
    this.#check();
    await this.#life.pause(...times.name);
    return statOf(this.file);
  }

  statNow(): FileStat | undefined {
    this.#life.check();
    this.#check();
    return this.#life.random.chance(residentChance) ? statOf(this.file) : undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#life.pause(0, 0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #put(buffers: readonly Uint8Array[], position: number): void {
    let at = position;
    for (const buffer of buffers) {
      this.#change({kind: 'write', position: at, bytes: new Uint8Array(buffer)});
      at += buffer.length;
    }
    this.#disk.counts.bytesWritten += at - position;
    this.#life.note(`write ${this.#path} ${position}+${at - position}`);
  }

  #change(change: Parameters<SimFile['change']>[0]): void {
    this.file.change(change);
    this.file.mtimeNs = this.#nowNs();
  }

  #check(writing = false): void {
    if (this.#closed) throw new WeirError('Io', `${this.#path} is closed`);
    if (writing && !this.#ways.writable) throw new WeirError('Io', `${this.#path} is open for reading only`);
  }
}

/** As FilePlacer says, one step after the other. */
async function placeTogether(disk: Disk, files: readonly PlacedFile[]): Promise<(FileStat | WeirError)[]> {
  const failures = new Map<PlacedFile, WeirError>();
  const each = async (step: (file: PlacedFile) => Promise<void>): Promise<void> => {
    for (const file of files) {
      if (failures.has(file)) continue;
      await step(file).catch((error: unknown) => {
        if (!(error instanceof WeirError)) throw error;
        failures.set(file, error);
      });
    }
  };
  const drafts = new Map<PlacedFile, DiskFile>();
  await each(async (file) => {
    const draft = await disk.open(file.draft, {mode: 'exclusive', permissions: file.permissions});
    drafts.set(file, draft);
    await draft.write([file.bytes], 0);
  });
  await each((file) => drafts.get(file)!.datasync());
  const named = new Set<PlacedFile>();
  await each(async (file) => {
    for (const path of file.absent) if (await isThere(disk, path)) throw new WeirError('AlreadyExists', `placing ${shown(file.place)}: it exists`);
    await disk.rename(file.draft, file.place);
    named.add(file);
  });
  for (const directory of new Set(files.filter((file) => !failures.has(file)).map((file) => bytesOf(file.directory)))) {
    const synced = disk.syncDirectory(toBytes(directory));
    await each(async (file) => {
      if (bytesOf(file.directory) === directory) await synced;
    });
  }
  const stats = new Map<PlacedFile, FileStat>();
  await each(async (file) => void stats.set(file, await drafts.get(file)!.stat()));
  for (const [file, draft] of drafts) {
    await draft.close();
    if (!named.has(file)) await disk.unlink(file.draft);
  }
  return files.map((file) => failures.get(file) ?? stats.get(file)!);
}

async function isThere(disk: Disk, path: DiskPath): Promise<boolean> {
  try {
    await disk.stat(path);
    return true;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return false;
    throw error;
  }
}

const bytesOf = (path: DiskPath): ByteString => (typeof path === 'string' ? fromText(path) : fromBytes(path));
const shown = (path: DiskPath): string => toText(bytesOf(path));

function missing(path: DiskPath): never {
  throw new WeirError('NotFound', `${shown(path)} does not exist`);
}

function split(path: DiskPath): string[] {
  const bytes = bytesOf(path);
  if (!bytes.startsWith('/')) throw new WeirError('InvalidPath', `${shown(path)} is not absolute`);
  const names: string[] = [];
  for (const name of bytes.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
    if (name.length > nameBytesMax) throw new WeirError('NameTooLong', `${shown(path)} has a name of ${name.length} bytes`);
  }
  return names;
}

interface Place {
  readonly parent: SimDirectory;
  readonly name: string;
  readonly node: SimNode | undefined;
  readonly canonical: ByteString;
}

function nodeAt(root: SimDirectory, path: DiskPath): SimNode | undefined {
  try {
    return locate(root, path).node;
  } catch (error) {
    if (isKind(error, 'NotFound', 'NotADirectory')) return undefined;
    throw error;
  }
}

/** Where a path leads; its parent must be there. The root is its own parent. */
function locate(root: SimDirectory, path: DiskPath): Place {
  const names = split(path);
  const canonical = `/${names.join('/')}` as ByteString;
  const name = names.pop();
  let parent = root;
  for (const step of names) {
    const node = parent.seen.get(step) ?? missing(path);
    if (node.kind !== 'directory') throw new WeirError('NotADirectory', `${shown(path)} leads through a file`);
    parent = node;
  }
  return name === undefined ? {parent: root, name: '', node: root, canonical} : {parent, name, node: parent.seen.get(name), canonical};
}
