/** Somebody who is told: takes what a master sends, outside the simulated machine, so that it outlives its crashes. */
import assert from 'node:assert/strict';
import {bytes, context} from '#master/fixture.test.ts';
import type {Master} from '#master/master.ts';
import type {NotificationRule} from '#model/notification.ts';
import type {HttpClientRequest, HttpClientResponse} from '#runtime/http.ts';

export interface Told {
  readonly url: string;
  readonly header: (name: string) => string | undefined;
  readonly text: string;
  /** Its first record, or the test. */
  readonly event: string;
  readonly key: string;
  readonly record: Record<string, unknown>;
}

export class Receiver {
  /** What it has taken. */
  readonly told: Told[] = [];
  /** Status of the answer, or no answer. */
  answer: (told: Told) => number | Error = () => 200;
  attempts = 0;

  async request({url, headers, body, method}: HttpClientRequest): Promise<HttpClientResponse> {
    assert.equal(method, 'POST');
    assert.ok(body instanceof Uint8Array);
    const text = Buffer.from(body).toString();
    const message = JSON.parse(text) as {Event?: string; Records?: {eventName: string; s3: {object: {key: string}}}[]};
    const [record] = message.Records ?? [];
    const at = (name: string): string | undefined => headers[headers.findIndex((header, i) => i % 2 === 0 && header === name) + 1];
    const told: Told = {
      url, header: name => (headers.includes(name) ? at(name) : undefined), text, event: record?.eventName ?? message.Event!, key: record?.s3.object.key ?? '', record: (record ?? message) as Record<string, unknown>,
    };
    this.attempts++;
    const status = this.answer(told);
    if (status instanceof Error) throw status;
    if (status < 300) this.told.push(told);
    const nothing = {[Symbol.asyncIterator]: () => ({next: async () => ({done: true as const, value: undefined})}), destroy: () => undefined};
    return {status, rawHeaders: [], header: () => undefined, body: nothing};
  }

  /** Event and key of all but tests, and forgets them. */
  take(): string[] {
    return this.told.splice(0).filter(({event}) => event !== 's3:TestEvent').map(({event, key}) => `${event} ${key}`);
  }
}

export const rule = (more: Partial<NotificationRule> = {}): NotificationRule => ({
  id: 'all', form: 'Queue', arn: 'arn:weir:sqs::hook:webhook', filter: [],
  events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*', 's3:ObjectTagging:*', 's3:ObjectAcl:Put', 's3:LifecycleExpiration:*'], ...more,
});

export async function listen(master: Master, ...rules: readonly NotificationRule[]): Promise<void> {
  await master.setSetting(bytes('/b/'), 'notification', JSON.stringify(rules), context);
}
