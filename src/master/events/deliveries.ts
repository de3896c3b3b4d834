/**
 * Delivers what waits in the outbox, to each webhook by itself: at least once, and in order for each key (an event of a key is sent when
 * the one before was taken). Events are read when they are durable, so nothing is told that power loss could take back; they are
 * deleted when the webhook has answered 2xx. Everything else is tried again, ever more slowly, also after a restart.
 */
import {createHmac} from 'node:crypto';
import {WeirError} from '#base/errors.ts';
import type {Webhook} from '#codec/namespace/event-record.ts';
import {eventMessage} from '#codec/s3/event-message.ts';
import type {WebhookInfo, WebhookRequest} from '#contracts/administration.ts';
import {systemContext} from '#contracts/context.ts';
import type {BucketEvents} from '#master/events/bucket-events.ts';
import {backlog, delivered, forgetQueue, giveUp, stateOf, type Waiting, waiting} from '#master/events/outbox.ts';
import {getWebhook, listWebhooks, putWebhook, removeWebhook} from '#master/events/webhooks.ts';
import type {Transactions} from '#master/transactions.ts';
import {arnOfWebhook, type BucketEvent} from '#model/notification.ts';
import type {Http, HttpTrust} from '#runtime/http.ts';
import type {Runtime} from '#runtime/runtime.ts';

/** Of one webhook, at a time: looked at, and on their way. */
const lookedAtMax = 256;
/** While the first are all of a few keys, which wait for each other. */
const lookedAtCrowdedMax = 8_192;
const inFlightMax = 16;
const answerMs = 15_000;
/** Of an answer that is read, so that its connection can be used again. */
const answerBytesMax = 64 * 1024;
const retryMsMin = 1_000;
const retryMsMax = 60_000;
const giveUpMs = 7 * 86_400_000;
const forgottenAtOnce = 1_000;

export interface DeliveryServices {
  readonly transactions: Transactions;
  readonly events: BucketEvents;
  readonly runtime: Pick<Runtime, 'clock' | 'log' | 'metrics' | 'crashPoint'>;
  /** Absent: this instance sends nothing. */
  readonly http?: Pick<Http, 'request'> | undefined;
}

interface Queue {
  running: Promise<void> | undefined;
  /** Something may have been appended since the queue was last read. */
  wanted: boolean;
  /** Ends the rest between attempts. */
  wake: AbortController;
  failures: number;
  crowded: boolean;
  lastError?: string | undefined;
  droppedTold: number;
  trust?: HttpTrust;
}

export class Deliveries {
  readonly #services: DeliveryServices;
  readonly #stop = new AbortController();
  readonly #queues = new Map<string, Queue>();
  #delivered = 0;
  #failed = 0;

  constructor(services: DeliveryServices) {
    this.#services = services;
    const {transactions, runtime: {metrics}} = services;
    metrics.counterFrom('weir_events_delivered_total', 'Events of buckets that webhooks have taken.', () => this.#delivered);
    metrics.counterFrom('weir_events_attempts_failed_total', 'Attempts to deliver an event that failed and are made again.', () => this.#failed);
    const each = (read: (name: string) => number) => () => transactions.peek(listWebhooks).map(({name}) => ({labels: {webhook: name}, value: read(name)}));
    metrics.gauge('weir_events_backlog', 'Events that wait for a webhook.', each(name => transactions.peek(reader => backlog(reader, name))), ['webhook']);
    metrics.counterFrom('weir_events_dropped_total', 'Events that were given up because too many waited.', each(name => transactions.peek(reader => stateOf(reader, name).dropped)), ['webhook']);
  }

  /** Goes on with what an earlier life has left. */
  start(): void {
    for (const {name} of this.#services.transactions.peek(listWebhooks)) this.#go(name);
  }

  /** After every commit; free while nobody is told of anything. */
  soon(): void {
    if (!this.#services.events.takeNoted()) return;
    for (const {name} of this.#services.transactions.peek(listWebhooks)) this.#go(name);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(Array.from(this.#queues.values(), async ({running}) => await running));
  }

  async list(): Promise<readonly WebhookInfo[]> {
    return await this.#services.transactions.read(reader => listWebhooks(reader).map(({name, url, token, secret}): WebhookInfo => {
      const lastError = this.#queues.get(name)?.lastError;
      return {
        name, arn: arnOfWebhook(name), url, hasToken: token !== undefined, hasSecret: secret !== undefined, backlog: backlog(reader, name), dropped: stateOf(reader, name).dropped,
        ...(lastError === undefined ? {} : {lastError}),
      };
    }));
  }

  async put(name: string, webhook: WebhookRequest): Promise<WebhookInfo> {
    if (!this.#services.http) throw new WeirError('Unsupported', 'this instance sends no requests');
    await this.#services.transactions.changeOwn(tx => putWebhook(tx, name, webhook));
    const queue = this.#go(name);
    // What is there now may answer.
    queue.failures = 0;
    queue.wake.abort();
    return (await this.list()).find(info => info.name === name)!;
  }

  async remove(name: string): Promise<void> {
    const {transactions} = this.#services;
    await transactions.changeOwn(tx => removeWebhook(tx, name));
    const queue = this.#queues.get(name);
    queue?.wake.abort();
    await queue?.running;
    this.#queues.delete(name);
    while (!(await transactions.changeOwn(tx => getWebhook(tx, name) !== undefined || forgetQueue(tx, name, forgottenAtOnce)))) this.#stop.signal.throwIfAborted();
  }

  #go(name: string): Queue {
    const queue = this.#queues.get(name) ?? {running: undefined, wanted: false, wake: new AbortController(), failures: 0, crowded: false, droppedTold: 0};
    this.#queues.set(name, queue);
    queue.wanted = true;
    if (!queue.running && !this.#stop.signal.aborted && this.#services.http) queue.running = this.#run(name, queue);
    return queue;
  }

  async #run(name: string, queue: Queue): Promise<void> {
    const {runtime: {log}} = this.#services;
    try {
      while (queue.wanted && !this.#stop.signal.aborted) {
        queue.wanted = false;
        while (!this.#stop.signal.aborted && (await this.#round(name, queue))) await this.#rest(queue);
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) log.error('events are not delivered any more', {webhook: name, error});
    } finally {
      queue.running = undefined;
    }
  }

  /** Nothing where all is well. */
  async #rest(queue: Queue): Promise<void> {
    if (queue.failures === 0) return;
    const ms = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(queue.failures - 1, 10));
    queue.wake = new AbortController();
    await this.#services.runtime.clock.sleep(ms, {signal: AbortSignal.any([this.#stop.signal, queue.wake.signal]), unref: true}).catch(() => undefined);
  }

  /** Sends the oldest of each key. False when nothing is left. */
  async #round(name: string, queue: Queue): Promise<boolean> {
    const {transactions, runtime} = this.#services;
    const limit = queue.crowded ? lookedAtCrowdedMax : lookedAtMax;
    const {webhook, looked, dropped} = await transactions.read(reader => ({webhook: getWebhook(reader, name), looked: waiting(reader, name, limit), dropped: stateOf(reader, name).dropped}));
    if (!webhook || looked.length === 0) return false;
    if (dropped > queue.droppedTold) runtime.log.error('events were dropped: too many wait for a webhook, or it has refused them for too long', {webhook: name, dropped});
    queue.droppedTold = dropped;
    const batch = firstOfEachKey(looked);
    queue.crowded = looked.length === limit && batch.length < inFlightMax;
    let failure: Error | undefined;
    const done: number[] = [];
    const hopeless: number[] = [];
    const giveUpBefore = BigInt(runtime.clock.nowMs() - giveUpMs) * 1_000_000n;
    let next = 0;
    let failed = 0;
    const sendNext = async (): Promise<void> => {
      // So many that failed say that the webhook is down, not that it refuses one.
      while (next < batch.length && failed < inFlightMax && !this.#stop.signal.aborted) {
        const {order, event} = batch[next++]!;
        try {
          await this.#send(webhook, event, queue);
          done.push(order);
        } catch (error) {
          failed++;
          if (event.time < giveUpBefore) hopeless.push(order);
          failure ??= error instanceof Error ? error : new Error('unknown');
        }
      }
    };
    await Promise.all(Array.from({length: Math.min(inFlightMax, batch.length)}, sendNext));
    this.#stop.signal.throwIfAborted();
    runtime.crashPoint('master.events.delivered');
    if (done.length + hopeless.length > 0) {
      await transactions.changeQuietly(tx => {
        delivered(tx, name, done);
        giveUp(tx, name, hopeless);
      });
    }
    this.#delivered += done.length;
    this.#failed += failed;
    this.#tell(name, queue, failure, done.length > 0);
    return true;
  }

  #tell(name: string, queue: Queue, failure: Error | undefined, some: boolean): void {
    const {runtime: {log}} = this.#services;
    if (failure === undefined) {
      if (queue.failures > 0) log.info('events are delivered again', {webhook: name});
      queue.failures = 0;
      queue.lastError = undefined;
      return;
    }
    // Where others are taken, one that is not does not make them wait long.
    queue.failures = some ? 1 : queue.failures + 1;
    queue.lastError = failure.message;
    log.warn('events were not delivered and will be sent again', {webhook: name, attempts: queue.failures, error: queue.lastError});
  }

  async #send({url, token, secret, certificates}: Webhook, event: BucketEvent, queue: Queue): Promise<void> {
    const {runtime: {clock}, http} = this.#services;
    const body = Buffer.from(eventMessage(event), 'utf8');
    const headers = ['host', new URL(url).host, 'content-type', 'application/json', 'content-length', String(body.length), 'user-agent', 'Weir'];
    if (token !== undefined) headers.push('authorization', `Bearer ${token}`);
    if (secret !== undefined) headers.push('x-weir-signature', signatureOf(secret, body, clock.nowMs()));
    if (certificates !== undefined && queue.trust?.certificates !== certificates) queue.trust = {certificates};
    const late = new AbortController();
    using _timer = clock.after(answerMs, () => late.abort(new WeirError('Timeout', `no answer within ${answerMs / 1000} s`)));
    const signal = AbortSignal.any([this.#stop.signal, late.signal, systemContext.signal]);
    const response = await http!.request({method: 'POST', url, headers, body, signal, ...(certificates !== undefined && queue.trust ? {trust: queue.trust} : {})});
    let read = 0;
    for await (const chunk of response.body) {
      read += chunk.length;
      if (read > answerBytesMax) break;
    }
    if (response.status < 200 || response.status > 299) throw new WeirError('Unavailable', `it answered ${response.status}`);
  }
}

/** `t=SECONDS,v1=HEX`: HMAC-SHA-256 of `SECONDS.BODY`, so that an old message cannot pass for a new one. */
export function signatureOf(secret: string, body: Uint8Array, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000);
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.`).update(body).digest('hex')}`;
}

function firstOfEachKey(looked: readonly Waiting[]): Waiting[] {
  const keys = new Set<string>();
  const first: Waiting[] = [];
  for (const one of looked) {
    const key = `${one.event.bucket}/${one.event.key}`;
    if (keys.has(key)) continue;
    keys.add(key);
    first.push(one);
  }
  return first;
}
