/**
 * Leases of cached bytes in another thread of this process. A descriptor is valid in every thread; who leased the bytes, the lender, holds the lease
 * until the borrower says that it is done with them, or has ended.
 */
import {read as readFile} from 'node:fs';
import {isKind, WeirError} from '#base/errors.ts';
import type {Descriptor, FileLease} from '#model/file-lease.ts';
import {descriptorNumber, forgetDescriptor, makeDescriptor} from '#runtime/node/descriptor.ts';
import {systemError} from '#runtime/node/system-errors.ts';
import type {ThreadLine} from '#runtime/node/threads/thread-line.ts';

/** A lease as it travels. */
export interface LentLease {
  readonly id: number;
  readonly fd: number;
  readonly offset: number;
  readonly length: number;
  /** The bytes are only vouched for when the lender has looked again afterwards. */
  readonly validated: boolean;
}

/** Kinds of records: the borrower is done; it could not read the bytes; it asks whether they are still right, and the answer (empty: yes). */
export const leaseKinds = {done: 16, unreadable: 17, validate: 18, validated: 19} as const;

const empty = new Uint8Array(0);
const probeBytes = 4096;

export class LeaseLender implements Disposable {
  readonly #line: Pick<ThreadLine, 'send'>;
  readonly #lent = new Map<number, FileLease>();
  #next = 1;

  constructor(line: Pick<ThreadLine, 'send'>) {
    this.#line = line;
  }

  /** Under way now. */
  get count(): number {
    return this.#lent.size;
  }

  /** The lease is the lender's from here on. */
  lend(lease: FileLease): LentLease {
    const id = this.#next;
    this.#next = id >= 0x7fff_ffff ? 1 : id + 1;
    this.#lent.set(id, lease);
    return {id, fd: descriptorNumber(lease.file), offset: lease.offset, length: lease.length, validated: lease.validate !== undefined};
  }

  /** A record of the borrower's. False: it is about something else. */
  receive(kind: number, id: number): boolean {
    if (kind === leaseKinds.done) this.#end(id);
    else if (kind === leaseKinds.unreadable) void this.#reread(id);
    else if (kind === leaseKinds.validate) void this.#validate(id);
    else return false;
    return true;
  }

  /** The borrower has ended. */
  [Symbol.dispose](): void {
    for (const id of this.#lent.keys()) this.#end(id);
  }

  #end(id: number): void {
    const lease = this.#lent.get(id);
    this.#lent.delete(id);
    lease?.[Symbol.dispose]();
  }

  async #validate(id: number): Promise<void> {
    let failure = '';
    try {
      await this.#lent.get(id)?.validate?.();
    } catch (error) {
      failure = isKind(error, 'ContentChanged') ? error.message : `the bytes could not be vouched for: ${(error as Error).message}`;
    }
    this.#line.send(leaseKinds.validated, id, failure === '' ? empty : Buffer.from(failure));
  }

  /** Whoever keeps the bytes learns of it by failing itself. */
  async #reread(id: number): Promise<void> {
    const lease = this.#lent.get(id);
    if (!lease) return;
    await lease.read(Buffer.alloc(Math.min(probeBytes, lease.length)), lease.offset).catch(() => {});
    this.#end(id);
  }
}

export class LeaseBorrower {
  readonly #line: Pick<ThreadLine, 'send'>;
  readonly #validating = new Map<number, PromiseWithResolvers<void>>();

  constructor(line: Pick<ThreadLine, 'send'>) {
    this.#line = line;
  }

  borrow(lent: LentLease): FileLease {
    return new BorrowedLease(lent, this.#line, (id) => {
      const asked = Promise.withResolvers<void>();
      this.#validating.set(id, asked);
      this.#line.send(leaseKinds.validate, id, empty);
      return asked.promise;
    });
  }

  /** A record of the lender's. False: it is about something else. */
  receive(kind: number, id: number, payload: Buffer): boolean {
    if (kind !== leaseKinds.validated) return false;
    const asked = this.#validating.get(id);
    this.#validating.delete(id);
    if (payload.length === 0) asked?.resolve();
    else asked?.reject(new WeirError('ContentChanged', payload.toString()));
    return true;
  }
}

class BorrowedLease implements FileLease {
  readonly file: Descriptor;
  readonly offset: number;
  readonly length: number;
  /** Whether it is in the page cache, the sender asks the kernel. */
  readonly resident = false;
  readonly validate?: () => Promise<void>;
  readonly #id: number;
  readonly #line: Pick<ThreadLine, 'send'>;
  #state: 'held' | 'unreadable' | 'ended' = 'held';

  constructor({id, fd, offset, length, validated}: LentLease, line: Pick<ThreadLine, 'send'>, validate: (id: number) => Promise<void>) {
    this.#id = id;
    this.#line = line;
    this.file = makeDescriptor(fd);
    this.offset = offset;
    this.length = length;
    if (validated) this.validate = () => validate(id);
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const fd = descriptorNumber(this.file);
    let done = 0;
    try {
      while (done < into.length) {
        const count = await readSome(fd, into, done, position + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      this.#state = 'unreadable';
      throw systemError(error, 'reading cached bytes');
    }
    return done;
  }

  [Symbol.dispose](): void {
    if (this.#state === 'ended') return;
    this.#line.send(this.#state === 'unreadable' ? leaseKinds.unreadable : leaseKinds.done, this.#id, empty);
    this.#state = 'ended';
    forgetDescriptor(this.file);
  }
}

function readSome(fd: number, into: Uint8Array, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => readFile(fd, into, at, into.length - at, position, (error, count) => (error ? reject(error) : resolve(count))));
}
