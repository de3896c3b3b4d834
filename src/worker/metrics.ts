/** What a worker shows of itself to Prometheus. The hot paths count in plain variables; these are read when somebody looks. */
import type {Metrics} from '#runtime/metrics.ts';
import type {Fills} from '#worker/fills/fills.ts';

export function registerWorkerMetrics(metrics: Metrics, fills: Fills): void {
  metrics.counterFrom('weir_worker_cache_read_bytes_total', 'Bytes served from the cache.', () => fills.totals.servedBytes);
  metrics.counterFrom('weir_worker_store_read_bytes_total', 'Bytes received from under stores for reads.', () => fills.totals.upstreamBytes);
  metrics.counterFrom('weir_worker_store_read_requests_total', 'Read requests sent to under stores.', () => fills.totals.upstreamRequests);
  metrics.gauge('weir_worker_store_reads_in_flight', 'Read requests to under stores under way.', () => fills.flights);
  metrics.gauge('weir_worker_fill_held_bytes', 'Bytes received from under stores that wait in memory.', () => fills.held.held);
}
