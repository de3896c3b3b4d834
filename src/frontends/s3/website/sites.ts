/**
 * Which site a request means. By its Host header: `BUCKET.anything` or the bucket's own name (the longest that is a bucket). Where the host
 * is an address, `localhost` or any other name without a dot: by the first part of the path, and all paths of the site begin with it.
 */
import {LRUCache} from 'lru-cache';
import {type ByteString, fromText, isUtf8} from '#base/byte-string.ts';
import {isKind} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {encodeKey} from '#codec/s3/listing.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {uriDecode} from '#codec/s3/sigv4.ts';
import {isBucketName, keyBytesMax} from '#codec/s3/target.ts';
import type {FileSystem} from '#client/file-system.ts';
import {type CallContext, systemContext} from '#contracts/context.ts';
import {bucketPath, noSuchBucket} from '#frontends/s3/request.ts';
import type {HttpExchange} from '#runtime/http.ts';
import {parseWebsite, type Website, websiteSetting} from '#model/website.ts';

const sitesKeptMax = 1_000;
/** Of a host name, tried as buckets. */
const labelsMax = 8;

export interface SiteRequest {
  readonly bucket: ByteString;
  /** Empty for the root. */
  readonly key: ByteString;
  /** What paths of the site begin with: empty, or `/BUCKET`. */
  readonly base: string;
  /** Undefined: the bucket is none. */
  readonly website: Website | undefined;
}

export class Sites {
  readonly #files: FileSystem;
  readonly #kept = new LRUCache<InodeId, {readonly revision: number; readonly website: Website | undefined}>({max: sitesKeptMax});

  constructor(files: FileSystem) {
    this.#files = files;
  }

  /** NoSuchBucket, InvalidURI, KeyTooLongError. */
  async find(exchange: HttpExchange): Promise<SiteRequest> {
    const context = {...systemContext, signal: exchange.signal};
    const path = pathOf(exchange.target);
    const host = (exchange.header('host') ?? '').replace(/:\d+$/, '').toLowerCase();
    if (!host.includes('.') || /^[\d.]+$/.test(host) || host.startsWith('[')) {
      const end = path.indexOf('/', 1);
      const bucket = (end < 0 ? path.slice(1) : path.slice(1, end)) as ByteString;
      const found = await this.#look(bucket, context);
      if (!found) throw noSuchBucket(bucket);
      return {...found, bucket, key: (end < 0 ? '' : path.slice(end + 1)) as ByteString, base: `/${encodeKey(bucket)}`};
    }
    const labels = host.split('.');
    for (let count = Math.min(labels.length, labelsMax); count > 0; count--) {
      const bucket = fromText(labels.slice(0, count).join('.'));
      const found = isBucketName(bucket) ? await this.#look(bucket, context) : undefined;
      if (found) return {...found, bucket, key: path.slice(1) as ByteString, base: ''};
    }
    throw noSuchBucket(fromText(host.slice(0, 63)));
  }

  /** Undefined when there is no such bucket. */
  async #look(bucket: ByteString, context: CallContext): Promise<Pick<SiteRequest, 'website'> | undefined> {
    if (bucket === '') return undefined;
    let info;
    try {
      info = await this.#files.stat(bucketPath(bucket), {kind: 'directory'}, context);
    } catch (error) {
      if (isKind(error, 'NotFound', 'NotADirectory', 'InvalidPath', 'PermissionDenied')) return undefined;
      throw error;
    }
    if (info.inode.kind !== 'directory') return undefined;
    const {id, settings: revision} = info.inode;
    const kept = this.#kept.get(id);
    let website = kept !== undefined && kept.revision === revision ? kept.website : undefined;
    if (revision !== undefined && kept?.revision !== revision) {
      const read = await this.#files.getSettings(info.path, context);
      const text = read.settings[websiteSetting];
      website = text === undefined ? undefined : parseWebsite(text);
      this.#kept.set(id, {revision: read.revision, website});
    }
    return {website};
  }
}

/** Decoded, without the query. */
function pathOf(target: string): ByteString {
  const absolute = target.startsWith('/') ? target : (/^https?:\/\/[^/?]*([^]*)$/i.exec(target)?.[1] ?? '');
  const raw = absolute.replace(/[?#][^]*$/, '');
  const path = uriDecode(raw === '' ? '/' : raw) as ByteString;
  if (!path.startsWith('/') || path.includes('\0') || !isUtf8(path)) throw new S3Error('InvalidURI', "Couldn't parse the specified URI.");
  if (path.length > keyBytesMax + 64) throw new S3Error('KeyTooLongError', 'Your key is too long', {Size: String(path.length), MaxSizeAllowed: String(keyBytesMax)});
  return path;
}
