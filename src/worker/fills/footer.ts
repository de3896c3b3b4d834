/**
 * Formats for analysis (Parquet, ORC, Zip) keep their directory at the end, and readers come for it first: a few bytes that say
 * how long it is, then the directory itself. When the first thing that anybody wants of a large content lies at its end, the rest
 * of the end comes with it, and the second round trip is saved.
 */
import {KiB} from '#base/units.ts';
import {pageBytes} from '#blockstore/block-store.ts';
import type {Span} from '#worker/fills/fill-plan.ts';

/** A first read that ends at the end of the content and is no longer than this is taken for a footer read. */
const footerReadBytesMax = 256 * KiB;
const footerBytesMin = 64 * KiB;
const footerBytesMax = 512 * KiB;
/** Directories grow with their files: about this share of them. */
const footerShare = 1 / 256;

/** The end of the content to fetch along with a first read; undefined when that does not look for a footer. */
export function footerSpan(contentLength: number, read: Span): Span | undefined {
  if (read.end !== contentLength || read.end - read.start > footerReadBytesMax || read.start === 0) return undefined;
  const bytes = Math.min(footerBytesMax, Math.max(footerBytesMin, contentLength * footerShare));
  const start = Math.max(0, Math.floor((contentLength - bytes) / pageBytes) * pageBytes);
  return start < read.start ? {start, end: read.start} : undefined;
}
