/** Multipart uploads: the master keeps the records, the worker moves the parts, and this keeps the two in step. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError, isKind} from '#base/errors.ts';
import type {ContentId} from '#base/ids.ts';
import type {CompletedPart, CompleteUploadOptions, CreateOptions, PartWriter} from '#client/file-system.ts';
import {abandon, publish} from '#client/publish.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import type {WorkerApi} from '#contracts/worker-api.ts';
import type {PartRecord, UploadRecord} from '#contracts/writing.ts';
import type {Checksums} from '#model/content.ts';
import {isKeptUpload, multipartChecksum} from '#model/multipart.ts';

const partsAPage = 1000;
/** Of a completion whose parts are being replaced. */
const attemptsMax = 3;

export class Uploads {
  readonly #master: MasterApi;
  readonly #worker: WorkerApi;
  /** By id. */
  readonly #completing = new Map<string, Promise<FileInfo>>();

  constructor(master: MasterApi, worker: WorkerApi) {
    this.#master = master;
    this.#worker = worker;
  }

  async create(path: ByteString, options: CreateOptions & Pick<UploadRecord, 'checksumAlgorithm' | 'checksumType'>, context: CallContext): Promise<UploadRecord> {
    const {checksumAlgorithm, checksumType, length: _length, checksums: _checksums, ...begin} = options;
    const ticket = await this.#master.beginWrite(path, begin, context);
    let storeUploadId: string | undefined;
    try {
      storeUploadId = await this.#worker.createUpload(ticket, context);
      const upload = {
        storeUploadId,
        ...(checksumAlgorithm ? {checksumAlgorithm} : {}), ...(checksumType ? {checksumType} : {}), ...(begin.mode === undefined ? {} : {mode: begin.mode}), ...(begin.xattrs ? {xattrs: begin.xattrs} : {}),
      };
      return await this.#master.createUpload(ticket, upload, context);
    } catch (error) {
      if (storeUploadId !== undefined) {
        const {content, mount, storeKey, metadata} = ticket;
        const lost = {uploadId: '', path, mount, storeKey, content, storeUploadId, metadata, initiatedAt: 0n, initiator: ''};
        await this.#worker.abortUpload(lost, context).catch(() => {});
      }
      await abandon(this.#master, ticket, context);
      throw error;
    }
  }

  async part(path: ByteString, uploadId: string, partNumber: number, options: {readonly length: number; readonly checksums?: readonly (keyof Checksums)[]}, context: CallContext): Promise<PartWriter> {
    const upload = await this.#master.getUpload(path, uploadId, context);
    const stream = await this.#worker.uploadPart(upload, partNumber, options, context);
    return {
      ...(stream.copies ? {copies: true} : {}),
      write: chunk => stream.write(chunk),
      commit: async (expected, sealed) => {
        const stored = await stream.finish(expected);
        const part = sealed ? {...stored, ...sealed} : stored;
        const replaced = await this.#master.putPart(path, uploadId, part, context);
        // What stays of it goes with the upload. Of one that was lost the new part has the place.
        if (replaced && replaced.storePart !== part.storePart && isKeptUpload(upload)) await this.#worker.dropPart(upload, replaced, context).catch(() => {});
        return part;
      },
      abort: () => stream.abort(),
    };
  }

  /** One at a time: who asks for what another is doing finds it done, and no half-assembled object of the store. */
  async complete(path: ByteString, uploadId: string, wanted: readonly CompletedPart[], options: CompleteUploadOptions, context: CallContext): Promise<FileInfo> {
    const before = this.#completing.get(uploadId);
    const mine = (async () => {
      await before?.catch(() => undefined);
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#complete(path, uploadId, wanted, options, context);
        } catch (error) {
          // A part was sent again meanwhile: the next look finds the new one.
          if (!isKind(error, 'ContentChanged') || attempt === attemptsMax) throw error;
        }
      }
    })();
    this.#completing.set(uploadId, mine);
    try {
      return await mine;
    } finally {
      if (this.#completing.get(uploadId) === mine) this.#completing.delete(uploadId);
    }
  }

  async #complete(path: ByteString, uploadId: string, wanted: readonly CompletedPart[], options: CompleteUploadOptions, context: CallContext): Promise<FileInfo> {
    const upload = await this.#master.getUpload(path, uploadId, context);
    const known = await this.#parts(path, uploadId, context);
    const parts = select(upload, wanted, known);
    await verify(upload, parts, options);
    for (const {partNumber} of parts) known.delete(partNumber);
    const complete = {parts: parts.length, unused: [...known.keys()], length: parts.reduce((sum, part) => sum + part.length, 0), ...(options.precondition ? {precondition: options.precondition} : {})};
    const ticket = await this.#master.beginCompleteUpload(path, uploadId, complete, context);
    const publishing = publish(this.#master, ticket, ready => this.#worker.completeUpload(upload, ticket.content, parts, ready, context), context);
    return isKeptUpload(upload) ? await this.#settled(upload, ticket.content, publishing, context) : await publishing;
  }

  /** Tells the cache what became of the completion. When that fails, the next start finds out. */
  async #settled(upload: UploadRecord, content: ContentId, publishing: Promise<FileInfo>, context: CallContext): Promise<FileInfo> {
    const after = {...context, signal: systemContext.signal};
    const settle = (committed: boolean) => this.#worker.settleUpload(upload, content, {committed}, after).catch(() => {});
    try {
      const info = await publishing;
      await settle(true);
      return info;
    } catch (error) {
      // The answer may have been lost and not the commit, with which the upload goes.
      const open = await this.#master.getUpload(upload.path, upload.uploadId, after).then(() => true, (why: unknown) => (isKind(why, 'NotFound') ? false : undefined));
      if (open !== undefined) await settle(!open);
      throw error;
    }
  }

  async abort(path: ByteString, uploadId: string, context: CallContext): Promise<void> {
    const upload = await this.#master.getUpload(path, uploadId, context);
    if (isKeptUpload(upload)) {
      await this.#master.removeUpload(path, uploadId, context);
      return await this.#worker.abortUpload(upload, context);
    }
    try {
      await this.#worker.abortUpload(upload, context);
    } catch (error) {
      // The store has forgotten it already, or the mount is gone.
      if (!isKind(error, 'NotFound')) throw error;
    }
    await this.#master.removeUpload(path, uploadId, context);
  }

  async #parts(path: ByteString, uploadId: string, context: CallContext): Promise<Map<number, PartRecord>> {
    const parts = new Map<number, PartRecord>();
    for (let after = 0; ; ) {
      const page = await this.#master.listParts(path, uploadId, after, partsAPage, context);
      for (const part of page) parts.set(part.partNumber, part);
      const last = page.at(-1);
      if (!last || page.length < partsAPage) return parts;
      after = last.partNumber;
    }
  }
}

function select(upload: UploadRecord, wanted: readonly CompletedPart[], known: ReadonlyMap<number, PartRecord>): PartRecord[] {
  if (wanted.length === 0) throw new WeirError('InvalidArgument', 'an upload is completed with at least one part');
  return wanted.map(({partNumber, etag, checksums}, i) => {
    const details = {partNumber};
    if (i > 0 && wanted[i - 1]!.partNumber >= partNumber) throw new WeirError('InvalidArgument', `part ${partNumber} is out of order`, {details});
    const part = known.get(partNumber);
    if (part?.etag !== etag) throw new WeirError('InvalidArgument', part ? `part ${partNumber} has another ETag` : `part ${partNumber} was not uploaded`, {details});
    for (const [algorithm, value] of Object.entries(checksums ?? {}) as [keyof Checksums, string][]) {
      if (part.checksums[algorithm] === value) continue;
      if (upload.checksumAlgorithm === undefined || upload.checksumAlgorithm === algorithm) throw new WeirError('InvalidArgument', `part ${partNumber} has another ${algorithm} checksum`, {details});
      throw new WeirError('BadDigest', `The ${algorithm} you specified for part ${partNumber} did not match what we received.`, {details});
    }
    return part;
  });
}

async function verify(upload: UploadRecord, parts: readonly PartRecord[], expected: CompleteUploadOptions): Promise<void> {
  for (const {partNumber, length: partBytes} of parts.slice(0, -1)) {
    if (partBytes < (expected.partBytesMin ?? 0)) throw new WeirError('InvalidArgument', `part ${partNumber} has ${partBytes} bytes, too few for any but the last`, {details: {partNumber, partBytes}});
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (expected.length !== undefined && expected.length !== length) throw new WeirError('InvalidArgument', `the parts have ${length} bytes together, not ${expected.length}`, {details: {objectBytes: length}});
  for (const [algorithm, value] of Object.entries(expected.checksums ?? {}) as [keyof Checksums, string][]) {
    const isComposite = /-\d+$/.test(value);
    const computed = await multipartChecksum(parts, algorithm, isComposite ? 'COMPOSITE' : upload.checksumAlgorithm === algorithm ? upload.checksumType : 'FULL_OBJECT');
    if (computed === undefined) throw new WeirError('InvalidArgument', `the parts were uploaded without ${algorithm} checksums`);
    // Some clients leave out the number of parts.
    if (computed !== value && computed.replace(/-\d+$/, '') !== value) throw new WeirError('BadDigest', `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`);
  }
}
