/** What one who uses a directory of an instance remembers of it: the names there, what each leads to, what is open, and what was done. */
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {Random} from '#blockstore/fixture.test.ts';
import type {FileDraft} from '#client/file-system.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {WriteType} from '#model/mount.ts';
import type {Instance} from '#process/machine/fixture.test.ts';
import {type Death, History, SeenFile} from '#process/machine/history.test.ts';

/** Names of files in directories that stay where they are. */
export const fixedNames = ['x', 'y', 'z', 'd/x', 'd/y'];
/** And in some that are made, renamed and removed as trees. */
export const treeNames = ['p/x', 'p/y', 'p/s/x', 'q/x', 'q/s/x'];
export const trees = ['p/', 'q/', 'p/s/', 'q/s/', 'r/'];
/** Directories in which nothing is ever put. */
export const emptyNames = ['v/', 'w/', 'd/v/'];
const names = [...fixedNames, ...fixedNames, ...treeNames];
const lengths = [0, 10, 700, 5_000, 70_000, 70_000, 262_145, 400_000, 700_000];
/** What a mount promises (docs/mount.md): names last within half a second, and some for the sync. */
const namesLastMs = 1_000;
const sectorBytes = 512;

export const s3: CallContext = systemContext;
export const mount: CallContext = {...systemContext, moment: 'safe', origin: 'mount'};

export class SymbolicLink {
  readonly target: string;

  constructor(target: string) {
    this.target = target;
  }
}

/** One that was made for its own sake, and holds nothing. */
export class EmptyDirectory {}

export type Node = SeenFile | SymbolicLink | EmptyDirectory;

export type Names = ReadonlyMap<string, Node>;

/** What becomes of names. */
export type Effect = (names: Map<string, Node>) => void;

const reachedMax = 256;

function applied(effect: Effect, names: Names): Names {
  const after = new Map(names);
  effect(after);
  return after;
}

const sameNames = (a: Names, b: Names): boolean => a.size === b.size && [...a].every(([name, node]) => b.get(name) === node);

export interface Session {
  readonly file: SeenFile;
  readonly inode: FileDraft['inode'];
  readonly draft: FileDraft;
}

/** How a store may fail here: then what is answered with these says nothing of what was done. */
const troubles = ['Unavailable', 'Timeout', 'Overloaded', 'Conflict'] as const;

export class Ledger {
  readonly base: string;
  readonly random: Random;
  /** Hard links are refused, and history kept. */
  versioned: boolean;
  readonly names = new History<Names>(new Map(), sameNames);
  /** What a change has made of the store before it lasted, by the names that it led to: power loss can take the change back, and not that. */
  readonly #effects = new WeakMap<Names, Effect>();
  sessions: Session[] = [];
  readonly #story: string[] = [];
  #files = 0;
  #writes = 0;
  #doing = '';

  /** `versioned`: see there. */
  constructor(base: string, random: Random, versioned = false) {
    this.base = base;
    this.random = random;
    this.versioned = versioned;
  }

  /** What was done last, for people. */
  get story(): string {
    return this.#story.slice(-80).join('\n');
  }

  get doing(): string {
    return this.#doing;
  }

  tell(what: string): void {
    this.#doing = `${this.base} ${what}`;
    this.#story.push(`${this.base} ${what}`);
  }

  get last(): Names {
    return this.names.last;
  }

  fileAt(name: string): SeenFile | undefined {
    const node = this.last.get(name);
    return node instanceof SeenFile ? node : undefined;
  }

  newFile(bytes: Buffer): SeenFile {
    return new SeenFile(++this.#files, bytes);
  }

  /** The names after a change. `inStore`: its store follows before the change lasts. */
  changed(change: Effect, inStore = false): ReturnType<History<Names>['push']> {
    const after = new Map(this.last);
    change(after);
    if (inStore) this.#effects.set(after, change);
    return this.names.push(after);
  }

  /** The names that may be there, latest first. */
  possible(death: Death): readonly Names[] {
    const states = this.names.possible(death);
    if (death === 'kill') return states.toReversed();
    const possible: Names[] = [];
    for (let i = states.length - 1; i >= 0; i--) {
      let reached = [states[i]!];
      for (const later of states.slice(i + 1)) {
        const effect = this.#effects.get(later);
        if (effect && reached.length < reachedMax) reached = reached.flatMap((names) => [names, applied(effect, names)]);
      }
      possible.push(...reached);
    }
    return possible;
  }

  /** A change of names was answered. */
  answered({runtime}: Instance, mark: (...deaths: Death[]) => void, durable: boolean): void {
    mark('kill');
    if (durable) mark('crash');
    else runtime.clock.after(namesLastMs, () => mark('crash'));
    this.tell('answered');
  }

  /** Nobody has the file under that name open, and it is no symbolic link. */
  isFree(name: string): boolean {
    const node = this.last.get(name);
    return node === undefined || (node instanceof SeenFile && !this.isOpen(node));
  }

  isOpen(node: Node): boolean {
    return this.sessions.some(({file}) => file === node);
  }

  async isPending({files}: Instance, name: string): Promise<boolean> {
    if (!this.fileAt(name)) return false;
    return (await files.stat(this.path(name), {kind: 'file'}, s3)).inode.content?.pending !== undefined;
  }

  /** So that a file can be made there by a mount. */
  async makeParents({files}: Instance, name: string): Promise<void> {
    const parent = name.slice(0, name.lastIndexOf('/', name.length - 2) + 1);
    if (parent !== '') await files.makeDirectory(this.path(parent), {parents: true, existing: 'keep'}, mount);
  }

  name(): string {
    return this.pick(names);
  }

  path(name: string): ByteString {
    return `${this.base}${name}` as ByteString;
  }

  pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)]!;
  }

  length(): number {
    return this.pick(lengths);
  }

  writeType(): WriteType | undefined {
    return this.random() < 0.6 ? 'ASYNC_THROUGH' : undefined;
  }

  /** Every sector says whose it is, of which write, and where; of bytes that begin in the middle of one, too. */
  stamped(file: number | 'part', from: number, length: number): Buffer {
    const write = ++this.#writes;
    const parts: Buffer[] = [];
    for (let at = from; at < from + length; ) {
      const sector = Math.floor(at / sectorBytes);
      const take = Math.min(from + length, (sector + 1) * sectorBytes) - at;
      const skip = at - sector * sectorBytes;
      parts.push(Buffer.alloc(skip + take, `<${this.base}${file}#${write}>`.padEnd(32, ' ')).subarray(skip));
      at += take;
    }
    return Buffer.concat(parts);
  }

  /** Whether that came of a store in trouble. */
  isTrouble(error: unknown): boolean {
    return isKind(error, ...troubles);
  }
}
