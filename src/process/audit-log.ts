/**
 * The audit log: one JSON line for each request that changed something or was denied, in the order in which they were answered. Lines are
 * gathered for some milliseconds and written together. A file that is full becomes `audit.log.1`, the one before `.2`; the oldest goes.
 */
import {isKind} from '#base/errors.ts';
import {MiB} from '#base/units.ts';
import type {DiskFile} from '#runtime/disk.ts';
import type {Runtime} from '#runtime/runtime.ts';

const fileBytesMax = 64 * MiB;
const filesKept = 8;
/** Characters of lines that wait for the disk; what comes on top is counted and said, not kept. */
const waitingMax = 16 * MiB;
/** A write of its own for each line would cost a small request as much as all the rest of the line. */
const gatherMs = 5;

export interface AuditLogOptions {
  readonly path: string;
  readonly fileBytes?: number;
}

export class AuditLog implements AsyncDisposable {
  readonly #runtime: Pick<Runtime, 'disk' | 'clock' | 'log'>;
  readonly #path: string;
  readonly #fileBytes: number;
  #file: DiskFile;
  #size: number;
  #waiting: string[] = [];
  #waitingSize = 0;
  #lost = 0;
  #writing: Promise<void> | undefined;
  #hurry: () => void = () => undefined;
  #closing = false;

  /** Goes on at the end of the file that is there. */
  static async open(runtime: Pick<Runtime, 'disk' | 'clock' | 'log'>, {path, fileBytes = fileBytesMax}: AuditLogOptions): Promise<AuditLog> {
    const file = await runtime.disk.open(path, {mode: 'create', permissions: 0o600});
    return new AuditLog(runtime, path, fileBytes, file, (await file.stat()).size);
  }

  private constructor(runtime: Pick<Runtime, 'disk' | 'clock' | 'log'>, path: string, fileBytes: number, file: DiskFile, size: number) {
    this.#runtime = runtime;
    this.#path = path;
    this.#fileBytes = fileBytes;
    this.#file = file;
    this.#size = size;
  }

  /** Never waits and never throws. */
  readonly record = (entry: Readonly<Record<string, unknown>>): void => {
    const line = `${JSON.stringify({time: new Date(this.#runtime.clock.nowMs()).toISOString(), ...entry})}\n`;
    if (this.#waitingSize + line.length > waitingMax) {
      this.#lost++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingSize += line.length;
    this.#writing ??= this.#write();
  };

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        if (!this.#closing) await this.#gather();
        const lines = Buffer.from(this.#waiting.join(''), 'utf8');
        this.#waiting = [];
        this.#waitingSize = 0;
        if (this.#size >= this.#fileBytes) await this.#rotate();
        if (!this.#file.writeNow(lines, this.#size)) await this.#file.write([lines], this.#size);
        this.#size += lines.length;
      }
      if (this.#lost > 0) this.#runtime.log.warn('audit: lines were lost, the disk is too slow', {lines: this.#lost});
      this.#lost = 0;
    } catch (error) {
      this.#runtime.log.error('audit: lines could not be written', {error});
    } finally {
      this.#writing = undefined;
    }
  }

  async #gather(): Promise<void> {
    const {promise, resolve} = Promise.withResolvers<void>();
    this.#hurry = resolve;
    using _delay = this.#runtime.clock.after(gatherMs, resolve);
    await promise;
  }

  async #rotate(): Promise<void> {
    const {disk} = this.#runtime;
    await this.#file.close();
    for (let number = filesKept - 1; number >= 0; number--) {
      const from = number === 0 ? this.#path : `${this.#path}.${number}`;
      await disk.rename(from, `${this.#path}.${number + 1}`).catch((error: unknown) => {
        if (!isKind(error, 'NotFound')) throw error;
      });
    }
    this.#file = await disk.open(this.#path, {mode: 'create', permissions: 0o600});
    this.#size = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    this.#hurry();
    await this.#writing;
    await this.#file.datasync();
    await this.#file.close();
  }
}
