/** What a worker shows of itself to Prometheus. The hot paths count in plain variables; these are read when somebody looks. */
import type {BlockStore, TierUse} from '#blockstore/block-store.ts';
import type {Metrics, ReadMetric} from '#runtime/metrics.ts';
import type {Fills} from '#worker/fills/fills.ts';

export function registerWorkerMetrics(metrics: Metrics, fills: Fills, blocks: BlockStore): void {
  metrics.counterFrom('weir_worker_cache_read_bytes_total', 'Bytes served from the cache.', () => fills.servedBytes);
  metrics.counterFrom('weir_worker_store_read_bytes_total', 'Bytes received from under stores for reads.', () => fills.totals.upstreamBytes);
  metrics.counterFrom('weir_worker_store_read_requests_total', 'Read requests sent to under stores.', () => fills.totals.upstreamRequests);
  metrics.gauge('weir_worker_store_reads_in_flight', 'Read requests to under stores under way.', () => fills.flights);
  metrics.gauge('weir_worker_fill_held_bytes', 'Bytes received from under stores that wait in memory.', () => fills.held.held);
  const byTier = (read: (tier: TierUse) => number): ReadMetric => () => blocks.status().tiers.map((tier) => ({labels: {tier: tier.name}, value: read(tier)}));
  metrics.gauge('weir_cache_tier_quota_bytes', 'Bytes that a cache tier may hold.', byTier((tier) => tier.quotaBytes), ['tier']);
  metrics.gauge('weir_cache_tier_used_bytes', 'Bytes that a cache tier holds.', byTier((tier) => tier.usedBytes), ['tier']);
  metrics.gauge('weir_cache_tier_up', 'Whether a cache tier takes writes.', byTier((tier) => (tier.state === 'ok' ? 1 : 0)), ['tier']);
  metrics.counterFrom('weir_cache_tier_evicted_bytes_total', 'Bytes dropped from a cache tier for room.', byTier((tier) => tier.evictedBytes), ['tier']);
  metrics.counterFrom('weir_cache_tier_demoted_bytes_total', 'Bytes moved from a cache tier to a slower one.', byTier((tier) => tier.demotedBytes), ['tier']);
  metrics.counterFrom('weir_cache_tier_promoted_bytes_total', 'Bytes moved from a cache tier to a faster one.', byTier((tier) => tier.promotedBytes), ['tier']);
}
