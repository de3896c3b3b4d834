/** One who uses a directory of an instance as programs on a mount and clients of S3 do, and knows what must be there after the machine dies. */
import assert from 'node:assert/strict';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {Instance} from '#process/machine/fixture.test.ts';
import {type Death, SeenFile, summary} from '#process/machine/history.test.ts';
import {EmptyDirectory, emptyNames, type Ledger, type Names, type Node, s3, SymbolicLink} from '#process/machine/ledger.test.ts';
import {contentsLastMs, MountUser} from '#process/machine/mount-user.test.ts';
import {markName, NamesUser} from '#process/machine/names-user.test.ts';
import {S3User} from '#process/machine/s3-user.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

interface Found {
  readonly bytes: Buffer;
  readonly mark: string;
  /** Of a symbolic link. */
  readonly target?: string;
}

const readsMax = 3;

type Step = (instance: Instance) => Promise<void>;

export class Actor {
  readonly ledger: Ledger;
  readonly #s3: S3User;
  readonly #mount: MountUser;
  readonly #steps: readonly (readonly [weight: number, step: Step])[];
  readonly #weights: number;

  constructor(ledger: Ledger) {
    this.ledger = ledger;
    const {random} = ledger;
    const [s3User, mount, names] = [(this.#s3 = new S3User(ledger)), (this.#mount = new MountUser(ledger)), new NamesUser(ledger)];
    const opened = (step: 'write' | 'truncate' | 'punch' | 'read' | 'sync' | 'flush' | 'close'): Step => async (instance) => {
      if (ledger.sessions.length > 0) await mount[step](instance, ledger.pick(ledger.sessions));
    };
    this.#steps = [
      [12, async ({runtime}) => await runtime.clock.sleep(random() < 0.8 ? random() * 300 : random() * 7_000)],
      [13, (instance) => s3User.put(instance)], [3, (instance) => s3User.copy(instance)], [6, (instance) => s3User.remove(instance)], [8, (instance) => s3User.upload(instance)],
      [13, (instance) => mount.open(instance)], [18, opened('write')], [4, opened('truncate')], [2, opened('punch')], [2, opened('read')], [6, opened('sync')], [4, opened('flush')], [6, opened('close')],
      [7, (instance) => names.rename(instance)], [4, (instance) => names.renameTree(instance)], [2, (instance) => names.removeTree(instance)],
      [4, (instance) => names.makeDirectory(instance)], [2, (instance) => names.removeDirectory(instance)],
      [2, (instance) => names.link(instance)], [1, (instance) => names.symlink(instance)], [2, (instance) => names.setMark(instance)], [3, (instance) => this.#look(instance)],
    ];
    this.#weights = this.#steps.reduce((sum, [weight]) => sum + weight, 0);
  }

  async act(instance: Instance, steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) await this.#told(() => this.#step(instance));
  }

  /** The machine has died: finds what is there, which must be possible, and goes on from that. */
  async verify(instance: Instance, death: Death, where: string): Promise<void> {
    const {ledger} = this;
    using _ = instance.trouble.pause();
    ledger.sessions = [];
    await this.#told(async () => {
      await this.#settle(instance, death, where);
      await this.#s3.verify(instance, where);
    });
  }

  /** It was killed: the next life, which may end too before anybody looks, publishes what was being written. */
  killed(): void {
    for (const names of this.ledger.names.since('crash')) for (const node of names.values()) if (node instanceof SeenFile) node.bytes.published();
  }

  /** Ends what is open, and answers what must be there. */
  async end(instance: Instance): Promise<Names> {
    await this.#told(async () => {
      await this.#mount.end(instance);
      await this.#s3.end(instance);
    });
    return this.ledger.last;
  }

  async #told(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const {doing, story} = this.ledger;
      if (error instanceof Error && !(error instanceof SimulatedCrash) && !error.message.includes('\n')) error.message = `${doing}: ${error.message}\n${story}`;
      throw error;
    }
  }

  async #step(instance: Instance): Promise<void> {
    let roll = this.ledger.random() * this.#weights;
    const [, step] = this.#steps.find(([weight]) => (roll -= weight) < 0) ?? this.#steps[0]!;
    try {
      await step(instance);
    } catch (error) {
      if (!instance.trouble.percent || !this.ledger.isTrouble(error)) throw error;
      this.ledger.tell(`failed: ${String(error)}`);
      await this.#look(instance, true);
    }
  }

  /** What is there while nobody has died: all that was answered, and after a failure what was asked, or not. */
  async #look(instance: Instance, afterFailure = false): Promise<void> {
    using _ = instance.trouble.pause();
    if (afterFailure) {
      // What goes on behind a request that has failed comes to its end first.
      while ((await instance.files.listJobs(s3)).some(({path}) => path.startsWith(this.ledger.base))) await instance.runtime.clock.sleep(500);
      await instance.files.refresh(this.ledger.path(''), s3);
    }
    await this.#settle(instance, 'kill', 'alive');
  }

  /** Finds what is there, which must be possible, and goes on from that. */
  async #settle(instance: Instance, death: Death, where: string): Promise<void> {
    const {ledger} = this;
    const found = await this.#found(instance);
    const shown = [...found].map(([name, {bytes, target, mark}]) => `${name}: ${target === undefined ? summary(bytes) : `-> ${target}`} ${mark}`).join('\n');
    const possible = ledger.possible(death);
    const alike = possible.filter((each) => each.size === found.size && [...each.keys()].every((name) => found.has(name)));
    assert.ok(alike.length > 0, `${where}: ${ledger.base} has\n${shown}\nand may have ${[...new Set(possible.map((each) => `[${[...each.keys()].join(' ')}]`))].join(' or ')}\n${ledger.story}`);
    const right = alike.find((each) => [...each].every(([name, node]) => this.#why(node, found.get(name)!, death) === undefined));
    assert.ok(right, `${where}: ${[...alike[0]!].map(([name, node]) => this.#why(node, found.get(name)!, death, name)).filter(Boolean).join('\n')}\n${ledger.story}`);
    ledger.tell(`--- ${where}: ${death}\n${shown}`);
    for (const [name, node] of right) {
      if (!(node instanceof SeenFile) || ledger.isOpen(node)) continue;
      const mark = node.settle(found.get(name)!.bytes, death);
      instance.runtime.clock.after(contentsLastMs, () => mark('crash'));
      if (!node.mark.settle(found.get(name)!.mark, death)) node.mark.begin(found.get(name)!.mark);
    }
    if (!ledger.names.settle(right, death)) ledger.names.begin(right);
  }

  /** Why it cannot be that; undefined where it can. */
  #why(node: Node, {bytes, mark, target}: Found, death: Death, name = ''): string | undefined {
    const {base} = this.ledger;
    if (node instanceof EmptyDirectory) return undefined;
    if (node instanceof SymbolicLink || target !== undefined) return node instanceof SymbolicLink && target === node.target ? undefined : `${base}${name} leads to ${target}`;
    if (this.ledger.isOpen(node)) return undefined;
    if (!node.may(bytes, death)) return `${base}${name} ${node.told(bytes, death)}`;
    // What is taken for another's has nothing of what was set of ours.
    const unmarked = mark === '' && node.doubtful;
    return unmarked || node.mark.possible(death).includes(mark) ? undefined : `${base}${name} (file ${node.number}) has the mark "${mark}" and may have ${JSON.stringify(node.mark.possible(death))}`;
  }

  async #found({files}: Instance): Promise<Map<string, Found>> {
    const {ledger} = this;
    const {entries} = await files.list({directory: ledger.path(''), view: 'tree', limit: 1000}, s3);
    const found = new Map<string, Found>();
    for (const entry of entries) {
      if (emptyNames.includes(entry.key)) found.set(entry.key, {bytes: Buffer.alloc(0), mark: ''});
      if (entry.key.endsWith('/') || !('info' in entry)) continue;
      const {inode} = entry.info;
      if (inode.kind === 'symlink') {
        found.set(entry.key, {bytes: Buffer.alloc(0), mark: '', target: inode.target ?? ''});
        continue;
      }
      found.set(entry.key, await read(files, ledger.path(entry.key)));
    }
    return found;
  }
}

/** Read again where its bytes were moved meanwhile. */
async function read(files: Instance['files'], path: ByteString, attempt = 1): Promise<Found> {
  try {
    await using file = await files.open(path, {range: {offset: 0}}, s3);
    const {length, inode} = file.info;
    const bytes = length === 0 ? Buffer.alloc(0) : Buffer.concat(await Array.fromAsync(bodyChunks(await file.read({offset: 0, length}, s3)), (chunk) => Buffer.from(chunk)));
    return {bytes, mark: Buffer.from(inode.xattrs?.[markName] ?? []).toString()};
  } catch (error) {
    if (!isKind(error, 'ContentChanged') || attempt === readsMax) throw error;
    return await read(files, path, attempt + 1);
  }
}
