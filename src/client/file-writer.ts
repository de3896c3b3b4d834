/** A new version of a file on its way: chunks to the worker, then the publication. */
import type {FileWriter, SealedAs} from '#client/file-system.ts';
import {abandon, publish, type PublishingMaster} from '#client/publish.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {WriteStream} from '#contracts/worker-api.ts';
import type {WriteTicket} from '#contracts/writing.ts';
import type {Checksums} from '#model/content.ts';

export class TicketWriter implements FileWriter {
  readonly copies?: true;
  readonly #master: PublishingMaster;
  readonly #ticket: WriteTicket;
  readonly #stream: WriteStream;
  readonly #context: CallContext;
  #ended = false;

  constructor(master: PublishingMaster, ticket: WriteTicket, stream: WriteStream, context: CallContext) {
    this.#master = master;
    this.#ticket = ticket;
    this.#stream = stream;
    if (stream.copies) this.copies = true;
    this.#context = context;
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#stream.write(chunk);
  }

  async commit(expected?: {length?: number; md5?: string; checksums?: Checksums}, sealed?: SealedAs): Promise<FileInfo> {
    this.#ended = true;
    const finish = (ready: () => Promise<void>) => this.#stream.finish(ready, expected);
    return publish(this.#master, this.#ticket, sealed ? async ready => ({...(await finish(ready)), checksums: sealed.checksums}) : finish, this.#context);
  }

  async abort(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    try {
      await this.#stream.abort();
    } finally {
      await abandon(this.#master, this.#ticket, this.#context);
    }
  }
}
