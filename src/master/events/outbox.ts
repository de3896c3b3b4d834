/**
 * The outbox: events that webhooks have still to be told, in the metastore, a queue for each webhook. An event is appended in the
 * transaction of the change that it tells of and deleted when it was delivered.
 *
 * Bounds: of a webhook that takes nothing, an event is given up when `backlogEventsMax` newer ones have come, or (deliveries.ts) when it
 * was refused for days. It is counted in the same transaction, told by a metric and in the log.
 */
import {decodeEvent, decodeWebhookState, encodeEvent, encodeWebhookState, type WebhookState} from '#codec/namespace/event-record.ts';
import {orderOfOutboxKey, outboxKey, outboxOf, webhookStateKey} from '#codec/namespace/keys.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import type {BucketEvent} from '#model/notification.ts';

/** About 30 MB a webhook. */
export const backlogEventsMax = 100_000;

export interface Waiting {
  readonly order: number;
  readonly event: BucketEvent;
}

const nothing: WebhookState = {next: 0, dropped: 0};

export function stateOf(reader: Reader, webhook: string): WebhookState {
  const record = reader.get(webhookStateKey(webhook));
  return record ? decodeWebhookState(record) : nothing;
}

export function append(tx: Transaction, webhook: string, event: BucketEvent, backlogMax = backlogEventsMax): void {
  const {next, dropped} = stateOf(tx, webhook);
  tx.put(outboxKey(webhook, next), encodeEvent(event));
  const oldest = next - backlogMax;
  const isDropped = oldest >= 0 && tx.get(outboxKey(webhook, oldest)) !== undefined;
  if (isDropped) tx.delete(outboxKey(webhook, oldest));
  tx.put(webhookStateKey(webhook), encodeWebhookState({next: next + 1, dropped: isDropped ? dropped + 1 : dropped}));
}

/** The oldest, in order. */
export function waiting(reader: Reader, webhook: string, limit: number): Waiting[] {
  return Array.from(reader.range({...outboxOf(webhook), limit}), ({key, value}) => ({order: orderOfOutboxKey(key), event: decodeEvent(value)}));
}

/** How many events may wait: exact while the oldest is the only one that is refused. */
export function backlog(reader: Reader, webhook: string): number {
  for (const {key} of reader.range({...outboxOf(webhook), limit: 1})) return stateOf(reader, webhook).next - orderOfOutboxKey(key);
  return 0;
}

export function delivered(tx: Transaction, webhook: string, orders: readonly number[]): void {
  for (const order of orders) tx.delete(outboxKey(webhook, order));
}

/** What was refused for too long. */
export function giveUp(tx: Transaction, webhook: string, orders: readonly number[]): void {
  delivered(tx, webhook, orders);
  const {next, dropped} = stateOf(tx, webhook);
  if (orders.length > 0) tx.put(webhookStateKey(webhook), encodeWebhookState({next, dropped: dropped + orders.length}));
}

/** Up to `limit` of its events, and at the end its state; true when nothing is left. */
export function forgetQueue(tx: Transaction, webhook: string, limit: number): boolean {
  const keys = Array.from(tx.range({...outboxOf(webhook), limit}), ({key}) => key);
  for (const key of keys) tx.delete(key);
  if (keys.length === limit) return false;
  tx.delete(webhookStateKey(webhook));
  return true;
}
