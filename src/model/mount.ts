/** Mounts: a directory of the namespace bound to a place in an under store, and the contract that the binding keeps. */
import type {ByteString} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {MountId} from '#base/ids.ts';
import {formatDuration, parseDuration} from '#base/units.ts';

/** `immutable`: never ask again. `always`: ask on every use. Otherwise milliseconds that metadata is believed unasked. */
export type Freshness = {readonly kind: 'immutable'} | {readonly kind: 'always'} | {readonly kind: 'maxAge'; readonly ms: number};

export const defaultFreshness: Freshness = {kind: 'maxAge', ms: 60_000};

/**
 * How a write is acknowledged; the names are those of the field. `CACHE_THROUGH`: when the store has it. `ASYNC_THROUGH`: when its bytes are
 * durable in the cache and its metadata in the journal; the store gets it behind. The order is stored: append only.
 */
export const writeTypes = ['CACHE_THROUGH', 'ASYNC_THROUGH'] as const;
export type WriteType = (typeof writeTypes)[number];

export const defaultWriteType: WriteType = 'CACHE_THROUGH';

/** The setting of a directory (Inode.settings) that says how what lies below it is written, unless a request says otherwise. */
export const writeTypeSetting = 'write-type';

export interface Mount {
  readonly id: MountId;
  /** The directory, with a trailing slash. */
  readonly path: ByteString;
  /** As given, without secrets: `s3://bucket/prefix`, `file:///data`, `https://host/dir/`. */
  readonly uri: string;
  /** Connector options as given. Secrets are among them: show `maskOptions(options)` instead. */
  readonly options: Readonly<Record<string, string>>;
  readonly readOnly: boolean;
  readonly freshness: Freshness;
  /** Absent: the default of who writes, which is `defaultWriteType` but for a file system's mount. */
  readonly writeType?: WriteType;
  /** Wall milliseconds. */
  readonly createdAt: number;
}

/** `immutable`, `always`, or a duration such as `60s`. Throws InvalidArgument. */
export function parseFreshness(text: string): Freshness {
  if (text === 'immutable' || text === 'always') return {kind: text};
  const ms = parseDuration(text.startsWith('maxAge=') ? text.slice('maxAge='.length) : text);
  if (ms > 10 * 365 * 86_400_000) throw new WeirError('InvalidArgument', `maxAge ${text} is over ten years; write immutable`);
  return ms === 0 ? {kind: 'always'} : {kind: 'maxAge', ms};
}

/** Throws InvalidArgument. */
export function parseWriteType(text: string): WriteType {
  const found = writeTypes.find(name => name === text);
  if (!found) throw new WeirError('InvalidArgument', `a write type is ${writeTypes.join(' or ')}, not ${JSON.stringify(text.slice(0, 100))}`);
  return found;
}

export function formatFreshness(freshness: Freshness): string {
  return freshness.kind === 'maxAge' ? `maxAge=${formatDuration(freshness.ms)}` : freshness.kind;
}

const secretName = /secret|password|passwd|token|credential|private|(^|[._-])(sas|key)$|access.?key/i;

/** The options with every value that could be a secret replaced; what listings, logs and errors may show. */
export function maskOptions(options: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, secretName.test(name) ? '******' : value]));
}
