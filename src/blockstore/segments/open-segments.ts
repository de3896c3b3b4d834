/**
 * Bounds the descriptors of segments. Past `openSegmentsMax` the one that was not read from for longest is closed (second chance: a read costs
 * one store of a flag); what is written, leased or being read stays open.
 */
import type {Tier} from '#blockstore/tier.ts';

const openSegmentsMax = 512;

export interface OpenSegment {
  readonly tier: Tier;
  /** Written no more. */
  readonly sealed: boolean;
  readonly held: boolean;
  /** Read from since somebody looked for a descriptor to close. */
  recent: boolean;
  /** Leaves the set at once. */
  close(): Promise<void>;
}

export class OpenSegments {
  readonly #max: number;
  readonly #open = new Set<OpenSegment>();

  constructor(max = openSegmentsMax) {
    this.#max = max;
  }

  get full(): boolean {
    return this.#open.size >= this.#max;
  }

  get count(): number {
    return this.#open.size;
  }

  opened(segment: OpenSegment): void {
    this.#open.add(segment);
    // Each is passed at most twice: to lose its flag, and to go.
    let turns = 2 * this.#open.size;
    for (const other of this.#open) {
      if (this.#open.size <= this.#max || turns-- === 0) return;
      if (other === segment) continue;
      if (other.sealed && !other.held && !other.recent) {
        other.close().catch((error: unknown) => other.tier.failed(error));
        continue;
      }
      other.recent = false;
      this.#open.delete(other);
      this.#open.add(other);
    }
  }

  closed(segment: OpenSegment): void {
    this.#open.delete(segment);
  }
}
