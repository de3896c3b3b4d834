/**
 * A changed object as parts: ranges of what the store has, which it copies itself, and ranges that travel. Stores want parts of some
 * size (all but the last), so what travels is what was changed and as much around it as is needed, and what lies between two changes and would
 * be too small for a part of its own.
 */
import type {Capabilities} from '#understore/under-store.ts';

export interface PlannedPart {
  readonly offset: number;
  readonly length: number;
  /** Of what the store has, at the same place. */
  readonly copied: boolean;
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

type Limits = Pick<Capabilities, 'partBytesMin' | 'partBytesMax'>;

const partsMax = 10_000;
/** Parts that travel are not made larger than this without need, nor those that are copied: several go at once. */
const sentBytesMax = 16 * 1024 * 1024;
const copiedBytesMax = 1024 * 1024 * 1024;

/** `changed`: in order, apart from each other. Undefined where nothing would be copied, or more parts would be needed than there can be. */
export function changedParts(length: number, changed: readonly Range[], {partBytesMin, partBytesMax}: Limits): readonly PlannedPart[] | undefined {
  // Between larger parts there are fewer.
  for (let smallest = Math.max(1, partBytesMin); smallest <= partBytesMax; smallest *= 2) {
    const parts = plan(length, changed, smallest, partBytesMax);
    if (parts.length <= partsMax) return parts.some((part) => part.copied) ? parts : undefined;
  }
  return undefined;
}

function plan(length: number, changed: readonly Range[], smallest: number, largest: number): PlannedPart[] {
  const parts: PlannedPart[] = [];
  let at = 0;
  let next = 0;
  while (at < length) {
    const start = changed[next]?.offset ?? length;
    if (start - at >= smallest || (start === length && start > at)) {
      parts.push(...split(at, start - at, true, smallest, Math.min(largest, Math.max(smallest, copiedBytesMax))));
      at = start;
      continue;
    }
    // As long as nothing follows that is large enough to be copied.
    let end = at + smallest;
    for (; next < changed.length && changed[next]!.offset - end < smallest; next++) end = Math.max(end, changed[next]!.offset + changed[next]!.length);
    end = Math.min(length, end);
    parts.push(...split(at, end - at, false, smallest, Math.min(largest, Math.max(smallest, sentBytesMax))));
    at = end;
  }
  return parts;
}

/** In equal parts as large as may be. */
function* split(offset: number, length: number, copied: boolean, smallest: number, largest: number): Generator<PlannedPart> {
  const count = Math.max(1, Math.min(Math.ceil(length / largest), Math.floor(length / smallest)));
  for (let i = 0; i < count; i++) {
    const from = Math.floor((length * i) / count);
    yield {offset: offset + from, length: Math.floor((length * (i + 1)) / count) - from, copied};
  }
}
