/** Sizes and durations as people write them. */
import {WeirError} from '#base/errors.ts';

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const TiB = 1024 * GiB;

const sizeUnits: Record<string, number> = {'': 1, b: 1, k: KiB, kb: KiB, kib: KiB, m: MiB, mb: MiB, mib: MiB, g: GiB, gb: GiB, gib: GiB, t: TiB, tb: TiB, tib: TiB};

/** Bytes of `64MiB`, `10G`, `1.5 GB`, `4096`. Powers of 1024, as `hdfs dfs` and `alluxio` read them. Throws InvalidArgument. */
export function parseSize(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const unit = match && sizeUnits[match[2]!.toLowerCase()];
  const bytes = match && unit ? Math.floor(Number(match[1]) * unit) : Number.NaN;
  if (!Number.isSafeInteger(bytes)) throw new WeirError('InvalidArgument', `not a size: ${JSON.stringify(text)} (write for example 512MiB or 10G)`);
  return bytes;
}

/** `1.5 GiB`: at most four characters of number, for people. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < names.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || Math.abs(value) >= 100 ? Math.round(value) : value.toFixed(1)} ${names[unit]}`;
}

const durationUnits: Record<string, number> = {ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000};

/** Milliseconds of `250ms`, `60s`, `5m`, `1h30m`, `2d`; a bare number is milliseconds. Throws InvalidArgument. */
export function parseDuration(text: string): number {
  const compact = text.trim().toLowerCase();
  if (/^\d+$/.test(compact)) return Number(compact);
  let total = 0;
  let rest = compact;
  while (rest !== '') {
    const match = /^(\d+(?:\.\d+)?)(ms|s|min|m|h|d)/.exec(rest);
    if (!match) throw new WeirError('InvalidArgument', `not a duration: ${JSON.stringify(text)} (write for example 60s or 1h30m)`);
    total += Number(match[1]) * durationUnits[match[2]!]!;
    rest = rest.slice(match[0].length);
  }
  if (compact === '') throw new WeirError('InvalidArgument', 'a duration is missing');
  return total;
}

/** `1h 02m`, `3.2s`, `250ms`: for people. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)}s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes}m ${String(Math.floor((ms % 60_000) / 1000)).padStart(2, '0')}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m`;
}
