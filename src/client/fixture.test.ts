/** A master of one mount, in memory, with no more of a namespace than the client needs; and a worker over a store in memory that counts. */
import assert from 'node:assert/strict';
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {ContentId, InodeId, MountId} from '#base/ids.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MasterApi, Observation} from '#contracts/master-api.ts';
import type {Body, ByteRange, WorkerApi, WriteStream} from '#contracts/worker-api.ts';
import type {PartRecord, UploadRecord, WriteTicket, WrittenObject} from '#contracts/writing.ts';
import type {Content, ReadableContent} from '#model/content.ts';

const mount = 1 as MountId;
const root = '/m/';

/** Methods that are not there fail when they are called. */
function partial<T extends object>(methods: Partial<T>): T {
  return new Proxy(methods, {get: (target, name) => Reflect.get(target, name) ?? (() => assert.fail(`${String(name)} is not expected`))}) as T;
}

export class FakeMaster {
  readonly files = new Map<ByteString, FileInfo>();
  /** Paths of which the namespace knows nothing yet. */
  readonly unknown = new Set<ByteString>();
  readonly calls: string[] = [];
  readonly openTickets = new Set<number>();
  readonly uploads = new Map<string, {record: UploadRecord; parts: Map<number, PartRecord>}>();
  failCommit = false;
  /** What `contentChanged` finds. */
  fresh: Observation['object'];
  #lastId = 100;

  put(path: ByteString, object: Omit<WrittenObject, 'checksums'> & Partial<Content>): FileInfo {
    const id = (object.id ?? ++this.#lastId) as ContentId;
    const content: Content = {
      checksums: {}, metadata: {}, mount, storeKey: path.slice(root.length) as ByteString, committedAt: 0n, ...object, id,
    };
    const info: FileInfo = {
      path, length: content.length, mount,
      inode: {id: id as number as InodeId, kind: 'file', parent: 1 as InodeId, name: path as ByteString, mode: 0o644, uid: 0, gid: 0, atime: 0n, mtime: 0n, ctime: 0n, checkedAt: 1, content},
    };
    this.files.set(path, info);
    return info;
  }

  get(path: ByteString): FileInfo {
    const info = this.files.get(path);
    if (!info) throw new WeirError('NotFound', `${path} does not exist`);
    return info;
  }

  readonly api: MasterApi = partial<MasterApi>({
    stat: async path => this.get(path),
    open: async path => (this.unknown.has(path) ? {unknown: {mount, storeKey: path.slice(root.length) as ByteString, ageMsMax: 0}} : {known: this.get(path)}),
    observe: async (path, {object}) => {
      this.unknown.delete(path);
      if (!object) throw new WeirError('NotFound', `${path} does not exist`);
      return this.put(path, object);
    },
    contentChanged: async path => {
      this.calls.push('contentChanged');
      if (!this.fresh) {
        this.files.delete(path);
        throw new WeirError('NotFound', `${path} is gone`);
      }
      return this.put(path, this.fresh);
    },
    refresh: async () => void this.calls.push('refresh'),
    setAttributes: async path => this.get(path),
    list: async ({after, limit}) => {
      const paths = [...this.files.keys()].filter(path => after === undefined || path > after).toSorted();
      const page = paths.slice(0, Math.min(limit, 2));
      const next = page.length < paths.length ? page.at(-1) : undefined;
      return {entries: page.map(path => ({key: path, info: this.get(path)})), ...(next === undefined ? {} : {next})};
    },
    beginWrite: async (path, options) => {
      const writeId = ++this.#lastId;
      this.openTickets.add(writeId);
      return {writeId, path, content: writeId as ContentId, mount, storeKey: path.slice(root.length) as ByteString, metadata: options.metadata ?? {}, writeType: 'CACHE_THROUGH'};
    },
    prepareCommit: async () => void this.calls.push('prepareCommit'),
    commitWrite: async (ticket, {pending: _, ...object}) => {
      this.calls.push('commitWrite');
      if (this.failCommit) throw new WeirError('Unavailable', 'the log is full');
      this.openTickets.delete(ticket.writeId);
      return this.put(ticket.path, {...object, id: ticket.content, metadata: ticket.metadata});
    },
    abandonWrite: async ticket => void this.openTickets.delete(ticket.writeId),
    createUpload: async (ticket: WriteTicket, upload) => {
      this.openTickets.delete(ticket.writeId);
      const uploadId = `u${++this.#lastId}`;
      const {path, storeKey, content, metadata} = ticket;
      const record: UploadRecord = {uploadId, path, mount, storeKey, content, metadata, initiatedAt: 0n, initiator: '', ...upload};
      this.uploads.set(uploadId, {record, parts: new Map()});
      return record;
    },
    getUpload: async (_path, uploadId) => this.#upload(uploadId).record,
    putPart: async (_path, uploadId, part) => void this.#upload(uploadId).parts.set(part.partNumber, part),
    listParts: async (_path, uploadId, after, limit) => [...this.#upload(uploadId).parts.values()].filter(p => p.partNumber > after).toSorted((a, b) => a.partNumber - b.partNumber).slice(0, limit),
    beginCompleteUpload: async (path, uploadId) => {
      const {record} = this.#upload(uploadId);
      this.openTickets.add(record.content);
      return {writeId: record.content, path, content: record.content, mount, storeKey: record.storeKey, metadata: record.metadata, writeType: 'CACHE_THROUGH'};
    },
    removeUpload: async (_path, uploadId) => void this.uploads.delete(uploadId),
  });

  #upload(uploadId: string): {record: UploadRecord; parts: Map<number, PartRecord>} {
    const upload = this.uploads.get(uploadId);
    if (!upload) throw new WeirError('NotFound', `there is no upload ${uploadId}`);
    return upload;
  }
}

interface FakeObject {
  readonly bytes: Buffer;
  readonly fingerprint: string;
}

/** Reads of versions that are gone fail with ContentChanged; everything else works. */
export class FakeWorker {
  readonly store = new Map<ByteString, FakeObject>();
  readonly calls: string[] = [];
  /** Bodies that were handed out and neither read nor given back. */
  openBodies = 0;
  failWrite = false;
  #lastId = 0;

  put(key: string, text: string): {length: number; fingerprint: string; etag: string; checksums: {}; metadata: {}; modified: bigint} {
    const object = {bytes: Buffer.from(text), fingerprint: `v${++this.#lastId}`};
    this.store.set(key as ByteString, object);
    return {length: object.bytes.length, fingerprint: object.fingerprint, etag: `"${text}"`, checksums: {}, metadata: {}, modified: 0n};
  }

  readonly api: WorkerApi = partial<WorkerApi>({
    read: async (content, range, options) => {
      this.calls.push(options.probeId === undefined ? 'read' : 'read probed');
      return this.#body(content, range);
    },
    probe: async (_mount, storeKey) => {
      this.calls.push('probe');
      const object = this.store.get(storeKey);
      const about = object && {length: object.bytes.length, fingerprint: object.fingerprint, etag: 'e', checksums: {}, metadata: {}, modified: 0n};
      return {observation: about ? {startedAt: 0, object: about} : {startedAt: 0}, probeId: 1};
    },
    write: async ticket => this.#write(ticket.storeKey),
    copy: async (source, ticket, ready) => {
      const {bytes} = this.#get(source);
      await ready();
      return this.put(ticket.storeKey, bytes.toString());
    },
    createUpload: async () => 's1',
    abortUpload: async () => void this.calls.push('abortUpload'),
    uploadPart: async (_upload, partNumber, {length}) => ({
      write: async () => {},
      finish: async () => ({partNumber, length, etag: String(partNumber).repeat(32), checksums: {}, storePart: 't', modifiedAt: 0n}),
      abort: async () => {},
    }),
    completeUpload: async (upload, _content, parts, ready) => {
      await ready();
      return this.put(upload.storeKey, `${parts.length} parts`);
    },
    load: async function* (content) {
      yield {loadedBytes: 0, totalBytes: content.length};
      yield {loadedBytes: content.length, totalBytes: content.length};
    },
    free: async contents => void this.calls.push(`free ${contents.length}`),
    pin: async (_content, pinned) => void this.calls.push(`pin ${pinned}`),
  });

  #get(content: ReadableContent): FakeObject {
    const object = this.store.get(content.storeKey);
    if (object?.fingerprint !== content.fingerprint) throw new WeirError('ContentChanged', 'another version');
    return object;
  }

  #body(content: ReadableContent, {offset, length}: ByteRange): Body {
    const bytes = this.#get(content).bytes.subarray(offset, offset + length);
    this.openBodies++;
    const end = () => void this.openBodies--;
    let isSent = false;
    const stream: AsyncIterableIterator<Uint8Array, undefined> = {
      [Symbol.asyncIterator]: () => stream,
      next: async () => {
        if (isSent) {
          end();
          return {done: true, value: undefined};
        }
        isSent = true;
        return {done: false, value: bytes};
      },
      return: async () => {
        end();
        return {done: true, value: undefined};
      },
    };
    return {kind: 'stream', length, stream};
  }

  #write(key: ByteString): WriteStream {
    const chunks: Uint8Array[] = [];
    return {
      write: async chunk => void chunks.push(chunk),
      finish: async ready => {
        if (this.failWrite) throw new WeirError('BadDigest', 'not these bytes');
        await ready();
        return this.put(key, Buffer.concat(chunks).toString());
      },
      abort: async () => void this.calls.push('abort'),
    };
  }
}

export async function textOf(body: Body): Promise<string> {
  assert.equal(body.kind, 'stream');
  const parts: Uint8Array[] = [];
  for await (const chunk of body.kind === 'stream' ? body.stream : []) parts.push(chunk);
  return Buffer.concat(parts).toString();
}
