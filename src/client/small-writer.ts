/**
 * A small object on its way to the cache of this process (ASYNC_THROUGH), or to a store that takes it whole: held until all of it is there, then kept and
 * committed at once. One thing is waited for, the disk of the journal, which carries the bytes until the cache has synced them (or two: that of the store first).
 * Where it takes more than that, the ordinary steps go on with what is here.
 */
import {WeirError} from '#base/errors.ts';
import type {FileWriter, SealedAs} from '#client/file-system.ts';
import {abandon, publish, type PublishingMaster} from '#client/publish.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {MasterOnTheSpot, WorkerOnTheSpot} from '#contracts/on-the-spot.ts';
import type {WorkerApi} from '#contracts/worker-api.ts';
import type {WriteTicket} from '#contracts/writing.ts';
import type {Checksums} from '#model/content.ts';
import {digestsOfWhole, type ExpectedDigests} from '#model/digests.ts';

export interface SmallWriterServices {
  readonly master: PublishingMaster;
  readonly worker: Pick<WorkerApi, 'write'>;
  readonly here: {readonly master: Pick<MasterOnTheSpot, 'commitWriteNow' | 'mayCarry'>; readonly worker: Pick<WorkerOnTheSpot, 'keepSmall' | 'storeSmall'>};
}

interface Announced {
  /** Bytes. */
  readonly length: number;
  readonly checksums: readonly (keyof Checksums)[];
}

const settled = Promise.resolve();

export class SmallWriter implements FileWriter {
  readonly #services: SmallWriterServices;
  readonly #ticket: WriteTicket;
  readonly #announced: Announced;
  readonly #context: CallContext;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #ended = false;

  /** The ticket is one of `beginWriteNow`. */
  constructor(services: SmallWriterServices, ticket: WriteTicket, announced: Announced, context: CallContext) {
    this.#services = services;
    this.#ticket = ticket;
    this.#announced = announced;
    this.#context = context;
  }

  write(chunk: Uint8Array): Promise<void> {
    this.#length += chunk.length;
    if (this.#length > this.#announced.length) return Promise.reject(new WeirError('IncompleteBody', `more than the announced ${this.#announced.length} bytes came`));
    if (chunk.length > 0) this.#chunks.push(chunk);
    return settled;
  }

  async commit(expected?: ExpectedDigests, sealed?: SealedAs): Promise<FileInfo> {
    this.#ended = true;
    const {master, here} = this.#services;
    const ticket = this.#ticket;
    const context = this.#context;
    try {
      const {length, md5, checksums} = await digestsOfWhole(this.#chunks, this.#announced.checksums, expected);
      const digests = {etag: md5, checksums: sealed?.checksums ?? checksums};
      if (ticket.writeType !== 'ASYNC_THROUGH') {
        return await publish(master, ticket, async (ready) => {
          await ready();
          const {fingerprint} = await here.worker.storeSmall(ticket, this.#chunks, length, context);
          return {length, fingerprint, ...digests};
        }, context);
      }
      const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      const carried = here.master.mayCarry(length);
      const keep = (durable: boolean): Promise<boolean> => here.worker.keepSmall(ticket.content, bytes, {durable});
      if (!(await keep(!carried))) return await this.#through(expected, sealed);
      const object = {length, pending: true, fingerprint: '', ...digests} as const;
      const committed = here.master.commitWriteNow(ticket, object, context, carried ? bytes : undefined);
      if (committed) return await committed;
      if (carried && !(await keep(true))) return await this.#through(expected, sealed);
      return await publish(master, ticket, async (ready) => {
        await ready();
        return object;
      }, context);
    } catch (error) {
      await abandon(master, ticket, context);
      throw error;
    }
  }

  /** The cache has no room now: it is waited for, or the object goes to its store at once. */
  async #through(expected: ExpectedDigests | undefined, sealed: SealedAs | undefined): Promise<FileInfo> {
    const {master, worker} = this.#services;
    const stream = await worker.write(this.#ticket, this.#announced, this.#context);
    for (const chunk of this.#chunks) await stream.write(chunk);
    return await publish(master, this.#ticket, async (ready) => {
      const object = await stream.finish(ready, expected);
      return sealed ? {...object, checksums: sealed.checksums} : object;
    }, this.#context);
  }

  async abort(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await abandon(this.#services.master, this.#ticket, this.#context);
  }
}
