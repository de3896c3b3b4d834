/** A file that was opened: one version of it, and perhaps the first read, already under way. */
import {isKind} from '#base/errors.ts';
import type {OpenFile, RangeSpec} from '#client/file-system.ts';
import {resolveRange} from '#client/range.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MasterApi} from '#contracts/master-api.ts';
import type {WorkerOnTheSpot} from '#contracts/on-the-spot.ts';
import type {Body, ByteRange, WorkerApi} from '#contracts/worker-api.ts';
import type {Content} from '#model/content.ts';
import type {FileLease} from '#model/file-lease.ts';

/** A read that was started before anybody asked for it, or a probe whose bytes wait for the first read. */
export type Started = {readonly range: ByteRange; readonly body: Body} | {readonly probeId: number};

export interface OpenedFileServices {
  readonly master: Pick<MasterApi, 'contentChanged'>;
  readonly worker: Pick<WorkerApi, 'read'>;
  readonly here?: {readonly worker: WorkerOnTheSpot};
}

export class OpenedFile implements OpenFile {
  readonly info: FileInfo;
  readonly #content: Content;
  readonly #master: Pick<MasterApi, 'contentChanged'>;
  readonly #worker: Pick<WorkerApi, 'read'>;
  readonly #here: WorkerOnTheSpot | undefined;
  #started: Started | undefined;

  constructor(services: OpenedFileServices, info: FileInfo, content: Content, started: Started | undefined) {
    this.info = info;
    this.#content = content;
    this.#master = services.master;
    this.#worker = services.worker;
    this.#here = services.here?.worker;
    this.#started = started;
  }

  resolve(range: RangeSpec | undefined): ByteRange {
    return resolveRange(range, this.#content.length);
  }

  readNow(offset: number, into: Uint8Array): boolean {
    return this.#here !== undefined && this.#here.readInto(this.#content, offset, into);
  }

  async lease(context: CallContext): Promise<FileLease | undefined> {
    return await this.#here?.leaseWhole(this.#content, context);
  }

  async read(range: ByteRange, context: CallContext): Promise<Body> {
    const started = this.#started;
    this.#started = undefined;
    if (started && 'body' in started) {
      if (started.range.offset === range.offset && started.range.length === range.length) return started.body;
      discard(started.body);
    }
    try {
      return await this.#worker.read(this.#content, range, started && 'probeId' in started ? started : {}, context);
    } catch (error) {
      // This handle keeps its version; but whoever opens next should see the new one.
      if (isKind(error, 'ContentChanged')) await this.#master.contentChanged(this.info.path, this.#content.id, context).catch(() => {});
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#started && 'body' in this.#started) discard(this.#started.body);
    this.#started = undefined;
  }
}

/** Gives back a body that nobody will read. */
export function discard(body: Body): void {
  if (body.kind === 'lease') body.lease[Symbol.dispose]();
  if (body.kind === 'stream') void body.stream[Symbol.asyncIterator]().return?.().catch(() => {});
}
