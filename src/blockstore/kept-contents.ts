/** Which contents must stay, pinned or dirty; logged on every tier that lasts, so that any of them may be replaced. */
import type {ContentId} from '#base/ids.ts';
import type {Tier} from '#blockstore/tier.ts';
import type {TierLog} from '#blockstore/tier-log.ts';
import type {LogRecord} from '#codec/block/log-record.ts';

export class KeptContents {
  readonly pinned = new Set<ContentId>();
  readonly dirty = new Set<ContentId>();
  /** Where it is logged. */
  readonly tiers: readonly Tier[];
  readonly #logs: readonly TierLog[];

  constructor(tiers: readonly Tier[], logs: readonly TierLog[]) {
    const lasting = tiers.filter((tier) => tier.persistent);
    this.tiers = lasting.length > 0 ? lasting : tiers;
    this.#logs = logs;
  }

  has(id: ContentId): boolean {
    return this.pinned.has(id) || this.dirty.has(id);
  }

  *[Symbol.iterator](): Generator<ContentId> {
    yield* this.pinned;
    for (const id of this.dirty) if (!this.pinned.has(id)) yield id;
  }

  /** Logs what holds for a content now. */
  log(id: ContentId): void {
    for (const tier of this.tiers) this.#logs[tier.number]!.append(this.#record(id));
  }

  async sync(id: ContentId): Promise<void> {
    this.log(id);
    await Promise.all(this.tiers.map((tier) => this.#logs[tier.number]!.sync().catch((error: unknown) => tier.failed(error))));
  }

  /** This part of the tier's log. */
  *records(tier: Tier): Generator<LogRecord> {
    if (this.tiers.includes(tier)) for (const id of this) yield this.#record(id);
  }

  #record(id: ContentId): LogRecord {
    return {kind: 'kept', id, pinned: this.pinned.has(id), dirty: this.dirty.has(id)};
  }
}
