/** Clients of S3: objects put, copied, removed and uploaded in parts. What was answered lasts. */
import assert from 'node:assert/strict';
import {isKind} from '#base/errors.ts';
import type {Instance} from '#process/machine/fixture.test.ts';
import {fixedNames, type Ledger, mount, s3} from '#process/machine/ledger.test.ts';
import {summary} from '#process/machine/history.test.ts';

const uploadsMax = 3;

interface Upload {
  readonly id: string;
  readonly name: string;
  /** Answered. */
  readonly parts: Map<number, {readonly bytes: Buffer; readonly etag: string}>;
  /** It was to be completed or aborted. */
  ending?: true;
}

export class S3User {
  readonly #ledger: Ledger;
  #uploads: Upload[] = [];

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  async put(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const name = ledger.name();
    if (!ledger.isFree(name)) return;
    // A write through to the store that fails in the middle leaves there what nobody knows of: rightly a conflict with what is pending.
    const writeType = (await ledger.isPending(instance, name)) ? 'ASYNC_THROUGH' : ledger.writeType();
    const file = ledger.newFile(Buffer.alloc(0));
    const bytes = ledger.stamped(file.number, 0, ledger.length());
    const lasts = this.#replaced(name, bytes, file);
    ledger.tell(`put ${name} ${writeType ?? ''} ${summary(bytes)}`);
    const options = {kind: 'file', parents: 'implied', length: bytes.length, ...(writeType ? {writeType} : {})} as const;
    const now = ledger.random() < 0.7 ? instance.files.createNow(ledger.path(name), options, s3) : undefined;
    const writer = now ?? (await instance.files.create(ledger.path(name), options, s3));
    for (let at = 0; at < bytes.length; at += 100_000) await writer.write(bytes.subarray(at, at + 100_000));
    await writer.commit({length: bytes.length});
    lasts();
  }

  async copy(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const [from, to] = [ledger.name(), ledger.name()];
    const source = ledger.fileAt(from);
    if (!source || ledger.isOpen(source) || !ledger.isFree(to) || from === to || (await ledger.isPending(instance, to))) return;
    const writeType = ledger.writeType();
    const lasts = this.#replaced(to, source.bytes.last);
    ledger.tell(`copy ${from} ${to} ${writeType ?? ''}`);
    await instance.files.copy(ledger.path(from), ledger.path(to), writeType ? {writeType} : {}, s3);
    lasts();
  }

  async remove(instance: Instance): Promise<void> {
    const ledger = this.#ledger;
    const existing = [...ledger.last].filter(([, node]) => !ledger.isOpen(node));
    if (existing.length === 0) return;
    const [name] = ledger.pick(existing);
    const durable = ledger.random() < 0.5;
    const mark = ledger.changed((names) => void names.delete(name), true);
    ledger.tell(`remove ${name} ${durable ? 's3' : 'mount'}`);
    await instance.files.remove(ledger.path(name), {kind: 'file'}, durable ? s3 : mount);
    ledger.answered(instance, mark, durable);
  }

  async upload(instance: Instance): Promise<void> {
    const {files} = instance;
    const ledger = this.#ledger;
    const roll = ledger.random();
    // What became of one whose end has failed is found out at the next start.
    const going = this.#uploads.filter(({ending}) => !ending);
    const upload = going.length > 0 ? ledger.pick(going) : undefined;
    if (!upload || (roll < 0.2 && going.length < uploadsMax)) {
      const [name, writeType] = [ledger.pick(fixedNames), ledger.writeType()];
      ledger.tell(`begin an upload of ${name} ${writeType ?? ''}`);
      const {uploadId} = await files.createUpload(ledger.path(name), {kind: 'file', parents: 'implied', ...(writeType ? {writeType} : {})}, s3);
      this.#uploads.push({id: uploadId, name, parts: new Map()});
    } else if (roll < 0.7 || upload.parts.size === 0) {
      const number = 1 + Math.floor(ledger.random() * 4);
      const bytes = ledger.stamped('part', 0, ledger.random() < 0.5 ? 70_000 : 1 + ledger.length());
      const before = upload.parts.get(number);
      // While it is sent anew it may be either.
      upload.parts.delete(number);
      ledger.tell(`part ${number} of the upload of ${upload.name}: ${summary(bytes)}${before ? ', again' : ''}`);
      const writer = await files.uploadPart(ledger.path(upload.name), upload.id, number, {length: bytes.length}, s3);
      await writer.write(bytes);
      const {etag} = await writer.commit({length: bytes.length});
      upload.parts.set(number, {bytes, etag});
      ledger.tell('answered');
    } else if (roll < 0.95) {
      if (!ledger.isFree(upload.name) || (await ledger.isPending(instance, upload.name))) return;
      const parts = [...upload.parts].toSorted(([a], [b]) => a - b);
      const whole = Buffer.concat(parts.map(([, {bytes}]) => bytes));
      upload.ending = true;
      const lasts = this.#replaced(upload.name, whole);
      ledger.tell(`complete the upload of ${upload.name}: ${summary(whole)}`);
      await files.completeUpload(ledger.path(upload.name), upload.id, parts.map(([partNumber, {etag}]) => ({partNumber, etag})), {}, s3);
      lasts();
      this.#uploads.splice(this.#uploads.indexOf(upload), 1);
    } else {
      upload.ending = true;
      ledger.tell(`abort the upload of ${upload.name}`);
      await files.abortUpload(ledger.path(upload.name), upload.id, s3);
      this.#uploads.splice(this.#uploads.indexOf(upload), 1);
    }
  }

  /** All parts that were answered are there, and what was to end can end. */
  async verify(instance: Instance, where: string): Promise<void> {
    for (const upload of this.#uploads.slice()) await this.#verify(instance, upload, where);
  }

  /** Also those uploads of which nobody was told. */
  async end({files}: Instance): Promise<void> {
    this.#uploads = [];
    for (const {path, uploadId} of await files.listUploads({directory: this.#ledger.path(''), limit: 1000}, s3)) await files.abortUpload(path, uploadId, s3);
  }

  async #verify({files}: Instance, upload: Upload, where: string): Promise<void> {
    const ledger = this.#ledger;
    const {name, id, parts} = upload;
    if (upload.ending) {
      this.#uploads.splice(this.#uploads.indexOf(upload), 1);
      return await files.abortUpload(ledger.path(name), id, s3).catch((error: unknown) => {
        if (!isKind(error, 'NotFound')) throw error;
      });
    }
    const there = new Map((await files.listParts(ledger.path(name), id, 0, 100, s3)).map(({partNumber, etag}) => [partNumber, etag]));
    for (const [number, {etag}] of parts) assert.ok(there.has(number), `${where}: part ${number} (${etag}) of the upload of ${ledger.base}${name} is lost\n${ledger.story}`);
  }

  /** What the name has from now on, perhaps: a new file; the store, where it is written through, before the namespace. */
  #replaced(name: string, bytes: Buffer, file = this.#ledger.newFile(bytes)): () => void {
    const ledger = this.#ledger;
    file.bytes.begin(bytes);
    const mark = ledger.changed((names) => void names.set(name, file), true);
    return () => {
      mark('kill', 'crash');
      ledger.tell(`${name} lasts`);
    };
  }
}
