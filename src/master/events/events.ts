/** Events of buckets as a whole: who listens, the outbox behind every commit, and the webhooks that are told. */
import type {WebhookInfo, WebhookRequest} from '#contracts/administration.ts';
import {BucketEvents, hasListeners} from '#master/events/bucket-events.ts';
import {Deliveries} from '#master/events/deliveries.ts';
import {RenamedTrees} from '#master/events/renamed-trees.ts';
import type {Transactions} from '#master/transactions.ts';
import {notificationSetting} from '#model/notification.ts';
import type {Http} from '#runtime/http.ts';
import type {Runtime} from '#runtime/runtime.ts';

export interface EventsServices {
  readonly transactions: Transactions;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'metrics' | 'crashPoint'>;
  /** Absent: nothing is sent. */
  readonly http?: Pick<Http, 'request'> | undefined;
}

export class Events {
  readonly #transactions: Transactions;
  readonly #sink = new BucketEvents();
  readonly #deliveries: Deliveries;
  readonly #renamedTrees: RenamedTrees;

  constructor(services: EventsServices) {
    this.#transactions = services.transactions;
    this.#deliveries = new Deliveries({...services, http: services.http, events: this.#sink});
    this.#renamedTrees = new RenamedTrees({...services, events: this.#sink});
  }

  /** Before the first change: from then on changes are told where somebody listens. */
  listen(): void {
    if (this.#transactions.peek(hasListeners)) this.#transactions.events = this.#sink;
  }

  /** A setting is about to be made. Once somebody listened, changes are looked at until the next start. */
  setting(name: string): void {
    if (name === notificationSetting) this.#transactions.events = this.#sink;
  }

  /** Goes on with what an earlier life has left. */
  start(): void {
    this.#deliveries.start();
    this.#renamedTrees.start();
  }

  /** After every commit; free while nobody listens. */
  soon(): void {
    this.#renamedTrees.soon();
    this.#deliveries.soon();
  }

  async close(): Promise<void> {
    await this.#renamedTrees.close();
    await this.#deliveries.close();
  }

  async listWebhooks(): Promise<readonly WebhookInfo[]> {
    return await this.#deliveries.list();
  }

  async putWebhook(name: string, webhook: WebhookRequest): Promise<WebhookInfo> {
    return await this.#deliveries.put(name, webhook);
  }

  async removeWebhook(name: string): Promise<void> {
    await this.#deliveries.remove(name);
  }
}
