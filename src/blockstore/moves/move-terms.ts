/** What moves between tiers agree on. */
import type {ContentId} from '#base/ids.ts';
import type {Tier} from '#blockstore/tier.ts';

export interface MoveTerms {
  /** What must stay is never moved, but from memory to a disk that lasts. */
  mayMove(id: ContentId, from: Tier, to: Tier): boolean;
  /** Waits until so many bytes more may be moved; false when the store closes. */
  pace(bytes: number): Promise<boolean>;
  /** What the log says of a tier's contents survives power loss, where that matters. Failures are the tier's and are told to it. */
  syncLog(tier: Tier): Promise<void>;
}
