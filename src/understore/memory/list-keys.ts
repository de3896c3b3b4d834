/** One page of a listing out of a sorted array of keys: S3's rules for prefix, delimiter, start and continuation. */
import {type ByteString, prefixEnd} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {lowerBound} from '#understore/memory/sorted-keys.ts';
import type {StoreListRequest} from '#understore/under-store.ts';

export interface KeyPage {
  readonly keys: readonly ByteString[];
  readonly prefixes: readonly ByteString[];
  readonly continuation?: string;
}

const slash = '/' as ByteString;

/** `descending` serves stores that list in no useful order; `after` is then ignored. */
export function listKeys(ascending: readonly ByteString[], request: StoreListRequest, order: 'ascending' | 'descending'): KeyPage {
  if (order === 'descending') return listUnordered(ascending, request);
  const keys: ByteString[] = [];
  const prefixes: ByteString[] = [];
  let at = lowerBound(ascending, request.prefix);
  const last = (request.continuation ?? request.after) as ByteString | undefined;
  if (last !== undefined && last >= request.prefix) {
    const folded = request.delimiter ? foldedPrefix(last, request.prefix) : undefined;
    at = folded === undefined ? lowerBound(ascending, last) : skip(ascending, folded);
    if (ascending[at] === last) at++;
  }
  let previous: ByteString | undefined;
  while (at < ascending.length && ascending[at]!.startsWith(request.prefix)) {
    if (keys.length + prefixes.length === request.limit) return previous === undefined ? {keys, prefixes} : {keys, prefixes, continuation: previous};
    const key = ascending[at]!;
    const folded = request.delimiter ? foldedPrefix(key, request.prefix) : undefined;
    if (folded === undefined) keys.push(key);
    else prefixes.push(folded);
    previous = folded ?? key;
    at = folded === undefined ? at + 1 : skip(ascending, folded);
  }
  return {keys, prefixes};
}

/** The directory that hides `key` in a delimited listing of `prefix`; undefined when the key shows as itself. */
export function foldedPrefix(key: ByteString, prefix: ByteString): ByteString | undefined {
  const end = key.indexOf(slash, prefix.length);
  return key.startsWith(prefix) && end !== -1 ? (key.slice(0, end + 1) as ByteString) : undefined;
}

function skip(ascending: readonly ByteString[], folded: ByteString): number {
  const end = prefixEnd(folded);
  return end === undefined ? ascending.length : lowerBound(ascending, end);
}

/** Backwards, by position: what a store without an order might do. */
function listUnordered(ascending: readonly ByteString[], request: StoreListRequest): KeyPage {
  const seen = new Set<ByteString>();
  for (const key of ascending) if (key.startsWith(request.prefix)) seen.add((request.delimiter ? foldedPrefix(key, request.prefix) : undefined) ?? key);
  const all = [...seen].reverse();
  const from = request.continuation === undefined ? 0 : Number(request.continuation);
  if (!Number.isSafeInteger(from)) throw new WeirError('InvalidArgument', 'the continuation is not one of this store');
  const page = all.slice(from, from + request.limit);
  const isFolded = (key: ByteString): boolean => request.delimiter && key !== request.prefix && key.endsWith('/');
  return {
    keys: page.filter(key => !isFolded(key)),
    prefixes: page.filter(isFolded),
    ...(from + page.length < all.length ? {continuation: String(from + page.length)} : {}),
  };
}
