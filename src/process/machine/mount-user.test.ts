/** Programs on a mount: files opened, written anywhere, cut, synced and closed. */
import assert from 'node:assert/strict';
import type {ByteString} from '#base/byte-string.ts';
import type {FileDraft} from '#client/file-system.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Instance} from '#process/machine/fixture.test.ts';
import {isMixedOf, summary} from '#process/machine/history.test.ts';
import {type Ledger, mount, type Session} from '#process/machine/ledger.test.ts';

const openMax = 3;
const lengthMax = 1_500_000;
/** What a mount promises of what is closed. */
export const contentsLastMs = 5_000;
const writing = {writeTypeDefault: 'ASYNC_THROUGH'} as const;

export class MountUser {
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  async open(instance: Instance): Promise<void> {
    const {files} = instance;
    const ledger = this.#ledger;
    const name = ledger.name();
    if (ledger.sessions.length >= openMax || !ledger.isFree(name)) return;
    let file = ledger.fileAt(name);
    const empty = !file || ledger.random() < 0.3;
    if (!file) {
      await ledger.makeParents(instance, name);
      const made = (file = ledger.newFile(Buffer.alloc(0)));
      const mark = ledger.changed((names) => void names.set(name, made), true);
      ledger.tell(`make ${name}, file ${file.number}`);
      await this.#make(instance, ledger.path(name));
      ledger.answered(instance, mark, false);
    }
    const info = await files.stat(ledger.path(name), {kind: 'file'}, mount);
    await files.retain(info.inode.id, mount.origin!, mount);
    ledger.tell(`open ${name}, file ${file.number}${empty ? ', empty' : ''}`);
    const draft = (empty && info.length === 0 ? this.#perhaps(() => this.#openDraftNow(instance, info)) : undefined) ?? (await files.openDraft(info, {empty, ...writing}, mount));
    const session = {file, inode: info.inode.id, draft};
    ledger.sessions.push(session);
    // As by open(2) with O_TRUNC: published like any change.
    if (empty) await this.#change(instance, session, Buffer.alloc(0), () => draft.truncate(0, mount));
  }

  async write(instance: Instance, session: Session): Promise<void> {
    const ledger = this.#ledger;
    const {file, draft} = session;
    const before = file.bytes.last;
    const length = 1 + ledger.length();
    const roll = ledger.random();
    const at = roll < 0.4 ? before.length : roll < 0.6 ? 0 : Math.floor(ledger.random() * Math.min(800_000, before.length + 5_000));
    if (at + length > lengthMax) return;
    const after = Buffer.alloc(Math.max(before.length, at + length));
    before.copy(after);
    const bytes = ledger.stamped(file.number, at, length);
    bytes.copy(after, at);
    ledger.tell(`write file ${file.number} at ${at}: ${summary(bytes)}`);
    await this.#change(instance, session, after, async () => void (this.#perhaps(() => draft.writeNow(at, bytes)) || (await draft.write(at, bytes, mount))));
  }

  async truncate(instance: Instance, session: Session): Promise<void> {
    const before = session.file.bytes.last;
    const length = Math.floor(this.#ledger.random() * 1.2 * before.length);
    const after = Buffer.alloc(length);
    before.copy(after);
    this.#ledger.tell(`truncate file ${session.file.number} to ${length}`);
    await this.#change(instance, session, after, () => session.draft.truncate(length, mount));
  }

  async punch(instance: Instance, session: Session): Promise<void> {
    const {random} = this.#ledger;
    const before = session.file.bytes.last;
    const at = Math.floor(random() * before.length);
    const length = Math.floor(random() * (before.length - at));
    if (length === 0) return;
    const after = Buffer.from(before).fill(0, at, at + length);
    this.#ledger.tell(`punch file ${session.file.number} from ${at}, ${length} bytes`);
    await this.#change(instance, session, after, () => session.draft.punch(at, length, mount));
  }

  /** What was written is what is read. */
  async read(_: Instance, {file, draft}: Session): Promise<void> {
    const ledger = this.#ledger;
    ledger.tell(`read file ${file.number}`);
    const wanted = file.bytes.last;
    const found = Buffer.from(await draft.read({offset: 0, length: wanted.length + 1}, mount));
    assert.ok(found.equals(wanted), `${ledger.base} file ${file.number}, open, has ${summary(found)}, and was given ${summary(wanted)}\n${ledger.story}`);
  }

  async sync(instance: Instance, {file, inode, draft}: Session): Promise<void> {
    const ledger = this.#ledger;
    const marks = [file.bytes.show(), ledger.names.show(), file.mark.show()];
    file.mixed = true;
    ledger.tell(`sync file ${file.number}`);
    const synced = this.#perhaps(() => (instance.files.lastsNow(inode) ? draft.syncNow() : undefined));
    await (synced ?? Promise.all([draft.sync(mount), instance.files.sync(inode, mount)]));
    for (const mark of marks) mark('kill', 'crash');
    ledger.tell('synced');
  }

  /** As by a close of a duplicate of the descriptor. */
  async flush({runtime}: Instance, {file, draft}: Session): Promise<void> {
    const ledger = this.#ledger;
    const mark = file.bytes.show();
    ledger.tell(`flush file ${file.number}`);
    try {
      const published = this.#perhaps(() => draft.publishNow(mount));
      await (published ? published.safe : draft.publish(mount));
    } catch (error) {
      file.doubtful = true;
      throw error;
    }
    ledger.tell('flushed');
    mark('kill');
    runtime.clock.after(contentsLastMs, () => mark('crash'));
  }

  async close(instance: Instance, session: Session): Promise<void> {
    const {sessions} = this.#ledger;
    const {file, inode, draft} = session;
    await this.flush(instance, session);
    this.#ledger.tell(`close file ${file.number}`);
    if (!this.#perhaps(() => draft.closeNow())) await draft.close({keep: false}, mount);
    sessions.splice(sessions.indexOf(session), 1);
    await instance.files.release(inode, mount.origin!, mount);
    this.#ledger.tell('closed');
  }

  async end(instance: Instance): Promise<void> {
    for (const session of this.#ledger.sessions.slice()) await this.close(instance, session);
  }

  /** What can be done on the spot is, mostly, as by a mount. */
  #perhaps<T>(onTheSpot: () => T): T | undefined {
    return this.#ledger.random() < 0.7 ? onTheSpot() : undefined;
  }

  #openDraftNow({files}: Instance, {inode}: FileInfo): FileDraft | undefined {
    const now = files.statInodeNow(inode.id)?.info;
    return now?.length === 0 ? files.openDraftNow(now, writing, mount) : undefined;
  }

  async #make({files}: Instance, path: ByteString): Promise<void> {
    const end = path.lastIndexOf('/') + 1;
    const directory = (await files.stat(path.slice(0, end) as ByteString, {kind: 'directory'}, mount)).inode.id;
    const holder = mount.origin!;
    const made = this.#perhaps(() => files.makeFileNow(directory, path.slice(end) as ByteString, {mode: 0o644, holder, ...writing}, mount));
    await (made ? made.safe : files.makeFile(path, {mode: 0o644, ...writing}, mount));
  }

  async #change(instance: Instance, session: Session, after: Buffer, call: () => Promise<unknown>): Promise<void> {
    const {file} = session;
    const before = file.bytes.last;
    const mark = file.bytes.push(after, false);
    try {
      await call();
    } catch (error) {
      if (!this.#ledger.isTrouble(error)) throw error;
      return await this.#partly(instance, session, before, after);
    }
    mark('kill');
    this.#ledger.tell('written');
  }

  /** The change failed in its middle, for want of what lies in a store in trouble. */
  async #partly({trouble}: Instance, {file, draft}: Session, before: Buffer, after: Buffer): Promise<void> {
    const ledger = this.#ledger;
    using _ = trouble.pause();
    const found = Buffer.from(await draft.read({offset: 0, length: lengthMax}, mount));
    assert.ok(isMixedOf(found, [before, after]), `${ledger.base} file ${file.number} is ${summary(found)} after a change that failed, and was ${summary(before)}, to be ${summary(after)}\n${ledger.story}`);
    file.bytes.push(found, false)('kill');
    ledger.tell(`failed: ${summary(found)}`);
  }
}

