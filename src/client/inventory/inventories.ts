/** Inventory configurations where they are kept, and the schedule that carries them out. */
import {hash} from 'node:crypto';
import {type ByteString, toText} from '#base/byte-string.ts';
import {isKind, WeirError} from '#base/errors.ts';
import type {FileSystem} from '#client/file-system.ts';
import {produceReport, type Report} from '#client/inventory/report.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import {inventoriesOf, type Inventory, inventoryRunSetting, inventorySetting, isDue, parseInventory} from '#model/inventory.ts';
import type {Runtime} from '#runtime/runtime.ts';

const firstLookMs = 120_000;
const lookMs = 3_600_000;
const bucketsAPage = 1_000;

type ReportRuntime = Pick<Runtime, 'clock' | 'random'>;

const hashOf = (id: string): string => hash('sha1', id);
const pathOf = (bucket: ByteString): ByteString => `/${bucket}/` as ByteString;

/** NotFound (the bucket). */
export async function getInventory(files: FileSystem, bucket: ByteString, id: string, context: CallContext): Promise<Inventory | undefined> {
  const text = (await files.getSettings(pathOf(bucket), context)).settings[inventorySetting(hashOf(id))];
  return text === undefined ? undefined : parseInventory(text);
}

export async function putInventory(files: FileSystem, bucket: ByteString, inventory: Inventory, context: CallContext): Promise<void> {
  await files.setSetting(pathOf(bucket), inventorySetting(hashOf(inventory.id)), JSON.stringify(inventory), context);
}

/** False when there was none. */
export async function removeInventory(files: FileSystem, bucket: ByteString, id: string, context: CallContext): Promise<boolean> {
  const {settings} = await files.getSettings(pathOf(bucket), context);
  const names = [inventorySetting(hashOf(id)), inventoryRunSetting(hashOf(id))].filter(name => settings[name] !== undefined);
  for (const name of names) await files.setSetting(pathOf(bucket), name, null, context);
  return names.length > 0;
}

/** Produces a report now, whether or not one is due. NotFound. */
export async function runInventory(files: FileSystem, runtime: ReportRuntime, bucket: ByteString, id: string, context: CallContext): Promise<Report> {
  const inventory = await getInventory(files, bucket, id, context);
  if (!inventory) throw new WeirError('NotFound', `${toText(bucket)} has no inventory configuration ${JSON.stringify(id.slice(0, 100))}`);
  const startedMs = runtime.clock.nowMs();
  const report = await produceReport({files, runtime}, bucket, inventory, context);
  await files.setSetting(pathOf(bucket), inventoryRunSetting(hashOf(id)), String(startedMs), context);
  return report;
}

export interface ScheduleServices {
  readonly files: FileSystem;
  readonly runtime: Pick<Runtime, 'clock' | 'random' | 'log'>;
}

/** Looks every hour for reports that are due and produces them, one after the other. What a crash or failure breaks off is begun anew. */
export class InventorySchedule implements AsyncDisposable {
  readonly #services: ScheduleServices;
  readonly #stop = new AbortController();
  #timer: Disposable;
  #running: Promise<void> = Promise.resolve();

  constructor(services: ScheduleServices) {
    this.#services = services;
    this.#timer = this.#after(firstLookMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#timer[Symbol.dispose]();
    await this.#running;
  }

  #after(ms: number): Disposable {
    return this.#services.runtime.clock.after(ms, () => {
      this.#running = this.look().then(() => {
        if (!this.#stop.signal.aborted) this.#timer = this.#after(lookMs);
      });
    });
  }

  /** Once over all buckets. What fails is logged, and due still at the next look. */
  async look(): Promise<void> {
    const {files, runtime} = this.#services;
    const context = {...systemContext, signal: this.#stop.signal};
    try {
      for (let after: ByteString | undefined; ; ) {
        const page = await files.list({directory: '/' as ByteString, view: 'children', limit: bucketsAPage, ...(after === undefined ? {} : {after})}, context);
        for (const entry of page.entries) if ('info' in entry && entry.info.inode.settings !== undefined) await this.#bucket(entry.key.replace(/\/$/, '') as ByteString, context);
        if (page.next === undefined) return;
        after = page.next;
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) runtime.log.warn('inventories could not be looked for', {error: String(error)});
    }
  }

  async #bucket(bucket: ByteString, context: CallContext): Promise<void> {
    const {files, runtime} = this.#services;
    const {settings} = await files.getSettings(pathOf(bucket), context);
    for (const inventory of inventoriesOf(settings)) {
      const last = settings[inventoryRunSetting(hashOf(inventory.id))];
      if (!isDue(inventory, last === undefined ? undefined : Number(last), runtime.clock.nowMs())) continue;
      try {
        const {rows} = await runInventory(files, runtime, bucket, inventory.id, context);
        runtime.log.info('an inventory was reported', {bucket: toText(bucket), id: inventory.id, rows});
      } catch (error) {
        context.signal.throwIfAborted();
        if (isKind(error, 'Cancelled')) throw error;
        runtime.log.warn('an inventory could not be reported', {bucket: toText(bucket), id: inventory.id, error: String(error)});
      }
    }
  }
}
