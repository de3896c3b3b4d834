/**
 * Produces one report: walks the bucket a page at a time, compresses rows in pieces (members of one gzip file, which every reader takes for
 * one text) and writes them as they come. The manifest is written when all data is there, its checksum last: a report without one
 * is none, so what a crash leaves behind is never read.
 */
import {createHash} from 'node:crypto';
import {gzipSync} from 'node:zlib';
import {type ByteString, fromText, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {type InventoryEntry, manifestOf, placesOf, type ReportFile, rowOf} from '#codec/s3/inventory-report.ts';
import type {FileSystem, FileWriter} from '#client/file-system.ts';
import type {CallContext} from '#contracts/context.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {ListEntry, VersionEntry} from '#contracts/listings.ts';
import type {ContentMetadata} from '#model/content.ts';
import {type Inventory, inventoryFields} from '#model/inventory.ts';
import type {Runtime} from '#runtime/runtime.ts';

const entriesAPage = 1_000;
/** Compressed at a time, on the event loop: about a millisecond. */
const pieceBytes = 64 * 1024;
const gzipLevel = 4;
export const rowsAFileMax = 1_000_000;

export interface ReportServices {
  readonly files: FileSystem;
  readonly runtime: Pick<Runtime, 'clock' | 'random'>;
}

export interface Report {
  readonly rows: number;
  readonly files: readonly ReportFile[];
  /** Path of the namespace. */
  readonly manifest: ByteString;
}

/** NotFound (a bucket), and whatever writing fails with. */
export async function produceReport({files, runtime}: ReportServices, bucket: ByteString, given: Inventory, context: CallContext, rowsMax = rowsAFileMax): Promise<Report> {
  const inventory = {...given, fields: inventoryFields.filter(field => given.fields.includes(field))};
  const destination = fromText(inventory.destination);
  const into = await files.stat(`/${destination}/` as ByteString, {kind: 'directory'}, context);
  if (into.inode.kind !== 'directory') throw new WeirError('NotFound', `the destination ${inventory.destination} is no bucket`);
  const startedMs = runtime.clock.nowMs();
  const name = toText(bucket);
  const places = placesOf(name, inventory, startedMs);
  const metadata: ContentMetadata = inventory.encrypted ? {'x-amz-server-side-encryption': 'AES256'} : {};
  const pathOf = (key: string): ByteString => `/${destination}/${fromText(key)}` as ByteString;
  const create = (key: string, type: string): Promise<FileWriter> => files.create(pathOf(key), {kind: 'file', parents: 'implied', metadata: {...metadata, 'content-type': type}}, context);
  const write = async (key: string, type: string, text: string): Promise<void> => {
    const writer = await create(key, type);
    try {
      await writer.write(Buffer.from(text));
      await writer.commit();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  };

  const written: ReportFile[] = [];
  let rows = 0;
  let data: DataFile | undefined;
  try {
    for await (const page of inventory.versions === 'All' ? versionsOf(files, bucket, inventory, context) : objectsOf(files, bucket, inventory, context)) {
      for (const entry of page) {
        if (!data) {
          const key = places.data(runtime.random.id());
          data = new DataFile(key, await create(key, 'application/gzip'));
        }
        await data.add(rowOf(name, inventory, entry));
        rows++;
        if (data.rows < rowsMax) continue;
        written.push(await data.end());
        data = undefined;
      }
    }
    if (data) written.push(await data.end());
    data = undefined;
  } finally {
    await data?.abort();
  }
  const manifest = manifestOf(name, inventory, written, startedMs);
  await write(places.symlink, 'text/plain', written.map(({key}) => `s3://${inventory.destination}/${key}\n`).join(''));
  await write(places.manifest, 'application/json', manifest);
  await write(places.checksum, 'text/plain', createHash('md5').update(manifest).digest('hex'));
  return {rows, files: written, manifest: pathOf(places.manifest)};
}

class DataFile {
  readonly #key: string;
  readonly #writer: FileWriter;
  readonly #md5 = createHash('md5');
  #pending: string[] = [];
  #pendingBytes = 0;
  #size = 0;
  rows = 0;

  constructor(key: string, writer: FileWriter) {
    this.#key = key;
    this.#writer = writer;
  }

  /** Rows are ASCII. */
  async add(row: string): Promise<void> {
    this.#pending.push(row);
    this.#pendingBytes += row.length;
    this.rows++;
    if (this.#pendingBytes >= pieceBytes) await this.#flush();
  }

  async end(): Promise<ReportFile> {
    if (this.#pendingBytes > 0) await this.#flush();
    await this.#writer.commit({length: this.#size});
    return {key: this.#key, size: this.#size, md5: this.#md5.digest('hex')};
  }

  async abort(): Promise<void> {
    await this.#writer.abort();
  }

  async #flush(): Promise<void> {
    const piece = gzipSync(Buffer.from(this.#pending.join(''), 'latin1'), {level: gzipLevel});
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#size += piece.length;
    this.#md5.update(piece);
    await this.#writer.write(piece);
  }
}

async function* objectsOf(files: FileSystem, bucket: ByteString, {prefix}: Inventory, context: CallContext): AsyncGenerator<readonly InventoryEntry[]> {
  for (let after: ByteString | undefined; ; ) {
    const page = await files.list({directory: `/${bucket}/` as ByteString, view: 'keys', limit: entriesAPage, ...filterOf(prefix), ...(after === undefined ? {} : {after})}, context);
    yield page.entries.flatMap((entry: ListEntry) => ('info' in entry ? [entryOf(entry.key, entry.info, true)] : []));
    if (page.next === undefined) return;
    after = page.next;
  }
}

async function* versionsOf(files: FileSystem, bucket: ByteString, {prefix}: Inventory, context: CallContext): AsyncGenerator<readonly InventoryEntry[]> {
  for (let after: {readonly key: ByteString; readonly version?: string} | undefined; ; ) {
    const page = await files.listVersions({directory: `/${bucket}/` as ByteString, limit: entriesAPage, ...filterOf(prefix), ...(after ? {after} : {})}, context);
    yield page.entries.flatMap((entry: VersionEntry) => ('info' in entry ? [entryOf(entry.key, entry.info, entry.latest)] : []));
    if (!page.next) return;
    after = page.next;
  }
}

const filterOf = (prefix: string | undefined): {readonly prefix?: ByteString} => (prefix === undefined || prefix === '' ? {} : {prefix: fromText(prefix)});

function entryOf(key: ByteString, {inode, length, deleteMarker}: FileInfo, latest: boolean): InventoryEntry {
  const {content, mtime} = inode;
  return {key, inode, latest, deleteMarker: deleteMarker === true, etag: content?.etag ?? '', modified: content?.committedAt ?? mtime, length: content?.length ?? length};
}
