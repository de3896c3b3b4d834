/** One who uses a directory of an instance as programs on a mount and clients of S3 do, and knows what must be there after the machine dies. */
import assert from 'node:assert/strict';
import type {ByteString} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {Random} from '#blockstore/fixture.test.ts';
import type {FileDraft} from '#client/file-system.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {WriteType} from '#model/mount.ts';
import type {Instance} from '#process/machine/fixture.test.ts';
import {type Death, History, SeenFile, summary} from '#process/machine/history.test.ts';
import {SimulatedCrash} from '#runtime/sim/life.ts';

const names = ['x', 'y', 'z', 'd/x', 'd/y'];
const lengths = [0, 10, 700, 5_000, 70_000, 70_000, 262_145, 400_000, 700_000];
/** What a mount promises (docs/mount.md): names last within half a second, and some for the sync; contents within five. */
const namesLastMs = 1_000;
const contentsLastMs = 5_000;
const openMax = 3;
const holder = 'mount';
const s3: CallContext = systemContext;
const mount: CallContext = {...systemContext, moment: 'safe', origin: holder};
const writing = {writeTypeDefault: 'ASYNC_THROUGH'} as const;
const sectorBytes = 512;

interface Session {
  readonly file: SeenFile;
  readonly inode: FileDraft['inode'];
  readonly draft: FileDraft;
}

interface Upload {
  readonly id: string;
  readonly name: string;
  /** Answered. */
  readonly parts: Map<number, {readonly bytes: Buffer; readonly etag: string}>;
  /** It was to be completed or aborted. */
  ending?: true;
}

type Names = ReadonlyMap<string, SeenFile>;

const sameNames = (a: Names, b: Names): boolean => a.size === b.size && [...a].every(([name, file]) => b.get(name) === file);

export class Actor {
  readonly base: string;
  readonly #random: Random;
  readonly #names = new History<Names>(new Map(), sameNames);
  /** Since the power failed last. */
  readonly #removed = new Set<string>();
  #sessions: Session[] = [];
  #uploads: Upload[] = [];
  readonly #story: string[] = [];
  #files = 0;
  #writes = 0;
  #doing = '';

  constructor(base: string, random: Random) {
    this.base = base;
    this.#random = random;
  }

  /** What it did last, for people. */
  get story(): string {
    return this.#story.slice(-60).join('\n');
  }

  async act(instance: Instance, steps: number): Promise<void> {
    for (let i = 0; i < steps; i++) {
      try {
        await this.#step(instance);
      } catch (error) {
        if (error instanceof Error && !(error instanceof SimulatedCrash)) error.message = `${this.#doing}: ${error.message}\n${this.story}`;
        throw error;
      }
    }
  }

  /** The machine has died: finds what is there, which must be possible, and goes on from that. */
  async verify(instance: Instance, death: Death, where: string): Promise<void> {
    this.#sessions = [];
    const found = await this.#found(instance);
    const shown = [...found].map(([name, bytes]) => `${name}: ${summary(bytes)}`).join('\n');
    const possible = this.#names.possible(death).toReversed();
    // What a store has lost by a removal is gone, also where power loss takes back what the namespace did just before that.
    const isGone = (name: string): boolean => death === 'crash' && this.#removed.has(name);
    const alike = possible.map((each) => new Map([...each].filter(([name]) => found.has(name) || !isGone(name)))).filter((each) => each.size === found.size && [...each.keys()].every((name) => found.has(name)));
    assert.ok(alike.length > 0, `${where}: ${this.base} has\n${shown}\nand may have ${[...new Set(possible.map((each) => `[${[...each.keys()].join(' ')}]`))].join(' or ')}\n${this.story}`);
    const right = alike.find((each) => [...each].every(([name, file]) => file.may(found.get(name)!, death)));
    if (!right) for (const [name, file] of alike[0]!) assert.ok(file.may(found.get(name)!, death), `${where}: ${this.base}${name} ${file.told(found.get(name)!, death)}\n${this.story}`);
    assert.ok(right);
    this.#tell(`--- ${where}: ${death}\n${shown}`);
    for (const [name, file] of right) file.settle(found.get(name)!, death);
    if (!this.#names.settle(right, death)) this.#names.begin(right);
    if (death === 'crash') this.#removed.clear();
    for (const upload of this.#uploads.slice()) await this.#verifyUpload(instance, upload, where);
  }

  /** It was killed: the next life, which may end too before anybody looks, publishes what was being written. */
  killed(): void {
    for (const names of this.#names.since('crash')) for (const file of names.values()) file.bytes.published();
  }

  /** Ends what is open, and answers what must be in the store: bytes by name. */
  async end(instance: Instance): Promise<ReadonlyMap<string, Buffer>> {
    for (const session of this.#sessions.slice()) await this.#close(instance, session);
    this.#uploads = [];
    // Also those of which nobody was told.
    for (const {path, uploadId} of await instance.files.listUploads({directory: this.#path(''), limit: 1000}, s3)) await instance.files.abortUpload(path, uploadId, s3);
    return new Map([...this.#names.last].map(([name, file]) => [name, file.bytes.last]));
  }

  async #found({files}: Instance): Promise<Map<string, Buffer>> {
    const {entries} = await files.list({directory: this.#path(''), view: 'tree', limit: 1000}, s3);
    const found = new Map<string, Buffer>();
    for (const {key} of entries) {
      if (key.endsWith('/')) continue;
      await using file = await files.open(this.#path(key), {range: {offset: 0}}, s3);
      const {length} = file.info;
      found.set(key, length === 0 ? Buffer.alloc(0) : Buffer.concat(await Array.fromAsync(bodyChunks(await file.read({offset: 0, length}, s3)), (chunk) => Buffer.from(chunk))));
    }
    return found;
  }

  async #verifyUpload({files}: Instance, upload: Upload, where: string): Promise<void> {
    const {name, id, parts} = upload;
    if (upload.ending) {
      this.#uploads.splice(this.#uploads.indexOf(upload), 1);
      return await files.abortUpload(this.#path(name), id, s3).catch((error: unknown) => {
        if (!isKind(error, 'NotFound')) throw error;
      });
    }
    const there = new Map((await files.listParts(this.#path(name), id, 0, 100, s3)).map(({partNumber, etag}) => [partNumber, etag]));
    for (const [number, {etag}] of parts) assert.ok(there.has(number), `${where}: part ${number} (${etag}) of the upload of ${this.base}${name} is lost\n${this.story}`);
  }

  async #step(instance: Instance): Promise<void> {
    const roll = this.#random();
    const existing = [...this.#names.last].filter(([, file]) => !this.#isOpen(file));
    const name = this.#pick(names);
    const file = this.#names.last.get(name);
    const session = this.#sessions.length > 0 ? this.#pick(this.#sessions) : undefined;
    if (roll < 0.12) await instance.runtime.clock.sleep(this.#random() < 0.8 ? this.#random() * 300 : this.#random() * 7_000);
    else if (roll < 0.27) await (file && this.#isOpen(file) ? undefined : this.#put(instance, name));
    else if (roll < 0.33) await (existing.length > 0 ? this.#remove(instance, this.#pick(existing)[0]) : undefined);
    else if (roll < 0.4) await this.#rename(instance, name);
    else if (roll < 0.48) await this.#upload(instance, name);
    else if (roll < 0.62) await (this.#sessions.length < openMax && !(file && this.#isOpen(file)) ? this.#open(instance, name) : undefined);
    else if (session && roll < 0.8) await this.#write(session);
    else if (session && roll < 0.84) await this.#truncate(session);
    else if (session && roll < 0.9) await this.#sync(instance, session);
    else if (session && roll < 0.94) await this.#flush(instance, session);
    else if (session) await this.#close(instance, session);
  }

  async #put(instance: Instance, name: string): Promise<void> {
    // A write through to the store that fails in the middle leaves there what nobody knows of: rightly a conflict with what is pending.
    const writeType = (await this.#isPending(instance, name)) ? 'ASYNC_THROUGH' : this.#writeType();
    const done = this.#replaced(name, this.#length(), (file, length) => this.#stamped(file, 0, length));
    this.#tell(`put ${name} ${writeType ?? ''} ${summary(done.bytes)}`);
    const writer = await instance.files.create(this.#path(name), {kind: 'file', parents: 'implied', length: done.bytes.length, ...(writeType ? {writeType} : {})}, s3);
    for (let at = 0; at < done.bytes.length; at += 100_000) await writer.write(done.bytes.subarray(at, at + 100_000));
    await writer.commit({length: done.bytes.length});
    done.lasts();
  }

  /** What the name has from now on, perhaps. */
  #replaced(name: string, length: number, make: (file: number, length: number) => Buffer): {readonly bytes: Buffer; readonly lasts: () => void} {
    const before = this.#names.last.get(name);
    const file = before ?? new SeenFile(++this.#files, Buffer.alloc(0));
    const bytes = make(file.number, length);
    const marks = before ? [before.bytes.push(bytes)] : [];
    if (!before) {
      file.bytes.begin(bytes);
      marks.push(this.#names.push(new Map([...this.#names.last, [name, file]])));
    } else marks.push(this.#names.show());
    return {
      bytes,
      lasts: () => {
        file.mixed = false;
        for (const mark of marks) mark('kill', 'crash');
        this.#tell(`${name} lasts`);
      },
    };
  }

  async #remove(instance: Instance, name: string): Promise<void> {
    const durable = this.#random() < 0.5;
    const left = new Map(this.#names.last);
    left.delete(name);
    const mark = this.#names.push(left);
    this.#removed.add(name);
    this.#tell(`remove ${name} ${durable ? 's3' : 'mount'}`);
    await instance.files.remove(this.#path(name), {kind: 'file'}, durable ? s3 : mount);
    this.#answered(instance, mark, durable);
  }

  async #rename(instance: Instance, to: string): Promise<void> {
    const from = this.#pick(names);
    const [file, replaced] = [this.#names.last.get(from), this.#names.last.get(to)];
    if (!file || from === to || (replaced && this.#isOpen(replaced))) return;
    const renamed = new Map(this.#names.last);
    renamed.delete(from);
    renamed.set(to, file);
    const mark = this.#names.push(renamed);
    this.#tell(`rename ${from} ${to}`);
    await instance.files.rename(this.#path(from), this.#path(to), {kind: 'file', replace: true}, mount);
    this.#tell('renamed');
    this.#answered(instance, mark, false);
  }

  #answered({runtime}: Instance, mark: (...deaths: Death[]) => void, durable: boolean): void {
    mark('kill');
    if (durable) mark('crash');
    else runtime.clock.after(namesLastMs, () => mark('crash'));
  }

  async #upload(instance: Instance, name: string): Promise<void> {
    const {files} = instance;
    const roll = this.#random();
    const upload = this.#uploads.length > 0 ? this.#pick(this.#uploads) : undefined;
    if (!upload || (roll < 0.2 && this.#uploads.length < openMax)) {
      const writeType = this.#writeType();
      this.#tell(`begin an upload of ${name} ${writeType ?? ''}`);
      const {uploadId} = await files.createUpload(this.#path(name), {kind: 'file', parents: 'implied', ...(writeType ? {writeType} : {})}, s3);
      this.#uploads.push({id: uploadId, name, parts: new Map()});
    } else if (roll < 0.7 || upload.parts.size === 0) {
      const number = 1 + Math.floor(this.#random() * 4);
      const bytes = this.#stamped(-1, 0, this.#random() < 0.5 ? 70_000 : 1 + this.#length());
      const before = upload.parts.get(number);
      // While it is sent anew it may be either.
      upload.parts.delete(number);
      this.#tell(`part ${number} of the upload of ${upload.name}: ${summary(bytes)}${before ? ', again' : ''}`);
      const writer = await files.uploadPart(this.#path(upload.name), upload.id, number, {length: bytes.length}, s3);
      await writer.write(bytes);
      const {etag} = await writer.commit({length: bytes.length});
      upload.parts.set(number, {bytes, etag});
      this.#tell('answered');
    } else if (roll < 0.95) {
      const target = this.#names.last.get(upload.name);
      if ((target && this.#isOpen(target)) || (await this.#isPending(instance, upload.name))) return;
      const parts = [...upload.parts].toSorted(([a], [b]) => a - b);
      const whole = Buffer.concat(parts.map(([, {bytes}]) => bytes));
      upload.ending = true;
      const done = this.#replaced(upload.name, whole.length, () => whole);
      this.#tell(`complete the upload of ${upload.name}: ${summary(whole)}`);
      await files.completeUpload(this.#path(upload.name), upload.id, parts.map(([partNumber, {etag}]) => ({partNumber, etag})), {}, s3);
      done.lasts();
      this.#uploads.splice(this.#uploads.indexOf(upload), 1);
    } else {
      upload.ending = true;
      this.#tell(`abort the upload of ${upload.name}`);
      await files.abortUpload(this.#path(upload.name), upload.id, s3);
      this.#uploads.splice(this.#uploads.indexOf(upload), 1);
    }
  }

  async #open(instance: Instance, name: string): Promise<void> {
    const {files} = instance;
    let file = this.#names.last.get(name);
    const empty = !file || this.#random() < 0.3;
    if (!file) {
      file = new SeenFile(++this.#files, Buffer.alloc(0));
      const mark = this.#names.push(new Map([...this.#names.last, [name, file]]));
      this.#tell(`make ${name}, file ${file.number}`);
      await files.makeFile(this.#path(name), {mode: 0o644, ...writing}, mount);
      this.#answered(instance, mark, false);
    }
    const info = await files.stat(this.#path(name), {kind: 'file'}, mount);
    await files.retain(info.inode.id, holder, mount);
    this.#tell(`open ${name}, file ${file.number}${empty ? ', empty' : ''}`);
    const draft = await files.openDraft(info, {empty, ...writing}, mount);
    const session = {file, inode: info.inode.id, draft};
    this.#sessions.push(session);
    // As by open(2) with O_TRUNC: published like any change.
    if (empty) await this.#change(session, Buffer.alloc(0), () => draft.truncate(0, mount));
  }

  async #write(session: Session): Promise<void> {
    const {file, draft} = session;
    const before = file.bytes.last;
    const length = 1 + this.#length();
    const roll = this.#random();
    const at = roll < 0.4 ? before.length : roll < 0.6 ? 0 : Math.floor(this.#random() * Math.min(800_000, before.length + 5_000));
    if (at + length > 1_500_000) return;
    const after = Buffer.alloc(Math.max(before.length, at + length));
    before.copy(after);
    const bytes = this.#stamped(file.number, at, length);
    bytes.copy(after, at);
    this.#tell(`write file ${file.number} at ${at}: ${summary(bytes)}`);
    await this.#change(session, after, () => draft.write(at, bytes, mount));
  }

  async #truncate(session: Session): Promise<void> {
    const before = session.file.bytes.last;
    const length = Math.floor(this.#random() * 1.2 * before.length);
    const after = Buffer.alloc(length);
    before.copy(after);
    this.#tell(`truncate file ${session.file.number} to ${length}`);
    await this.#change(session, after, () => session.draft.truncate(length, mount));
  }

  async #change({file}: Session, after: Buffer, call: () => Promise<void>): Promise<void> {
    const mark = file.bytes.push(after, false);
    await call();
    mark('kill');
    this.#tell('written');
  }

  async #sync(instance: Instance, {file, inode, draft}: Session): Promise<void> {
    const marks = [file.bytes.show(), this.#names.show()];
    file.mixed = true;
    this.#tell(`sync file ${file.number}`);
    await Promise.all([draft.sync(mount), instance.files.sync(inode, mount)]);
    for (const mark of marks) mark('kill', 'crash');
    this.#tell('synced');
  }

  /** As by a close of a duplicate of the descriptor. */
  async #flush({runtime}: Instance, {file, draft}: Session): Promise<void> {
    const mark = file.bytes.show();
    this.#tell(`flush file ${file.number}`);
    await draft.publish(mount);
    this.#tell('flushed');
    mark('kill');
    runtime.clock.after(contentsLastMs, () => mark('crash'));
  }

  async #close(instance: Instance, session: Session): Promise<void> {
    const {file, inode, draft} = session;
    await this.#flush(instance, session);
    this.#tell(`close file ${file.number}`);
    await draft.close({keep: false}, mount);
    this.#sessions.splice(this.#sessions.indexOf(session), 1);
    await instance.files.release(inode, holder, mount);
    this.#tell('closed');
  }

  async #isPending({files}: Instance, name: string): Promise<boolean> {
    if (!this.#names.last.has(name)) return false;
    return (await files.stat(this.#path(name), {kind: 'file'}, s3)).inode.content?.pending !== undefined;
  }

  #isOpen(file: SeenFile): boolean {
    return this.#sessions.some((session) => session.file === file);
  }

  #writeType(): WriteType | undefined {
    return this.#random() < 0.6 ? 'ASYNC_THROUGH' : undefined;
  }

  #length(): number {
    return this.#pick(lengths);
  }

  /** Every sector says whose it is, of which write, and where; of bytes that begin in the middle of one, too. */
  #stamped(file: number, from: number, length: number): Buffer {
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

  #path(name: string): ByteString {
    return `${this.base}${name}` as ByteString;
  }

  #pick<T>(of: readonly T[]): T {
    return of[Math.floor(this.#random() * of.length)]!;
  }

  #tell(what: string): void {
    this.#doing = `${this.base} ${what}`;
    this.#story.push(`${this.base} ${what}`);
  }
}
