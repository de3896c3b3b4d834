/** The webhooks of the instance: named targets that operators make, so that no user of a bucket ever chooses where a request goes. */
import {toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import {decodeWebhook, encodeWebhook, type Webhook} from '#codec/namespace/event-record.ts';
import {idOfKey, nameOfSettingKey, nameOfWebhookKey, settingsTable, webhookKey, webhookTable} from '#codec/namespace/keys.ts';
import type {InodeId} from '#base/ids.ts';
import type {WebhookRequest} from '#contracts/administration.ts';
import {webhooksOf} from '#master/events/bucket-events.ts';
import {locate} from '#master/namespace/locate.ts';
import type {Reader, Transaction} from '#metastore/metastore.ts';
import {notificationSetting, webhookNamePattern} from '#model/notification.ts';

const webhooksMax = 64;
const textCharsMax = 4096;
const certificatesCharsMax = 256 * 1024;
/** What may stand in a header. */
const headerText = /^[\x21-\x7e]+$/;

export function getWebhook(reader: Reader, name: string): Webhook | undefined {
  const record = reader.get(webhookKey(name));
  return record && decodeWebhook(record);
}

export function listWebhooks(reader: Reader): (Webhook & {readonly name: string})[] {
  return Array.from(reader.range(webhookTable), ({key, value}) => ({name: nameOfWebhookKey(key), ...decodeWebhook(value)}));
}

/** InvalidArgument. */
export function putWebhook(tx: Transaction, name: string, {url, token, secret, certificates}: WebhookRequest): void {
  if (!webhookNamePattern.test(name)) throw new WeirError('InvalidArgument', 'a webhook is named by letters, digits, `_` and `-`, at most 64');
  const parsed = url.length <= textCharsMax && URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.hostname === '') throw new WeirError('InvalidArgument', 'a webhook has a URL such as https://host/path');
  if (parsed.username !== '' || parsed.password !== '') throw new WeirError('InvalidArgument', 'name and password do not belong in the URL of a webhook; give it a token');
  if (parsed.hash !== '') throw new WeirError('InvalidArgument', 'the URL of a webhook has no fragment');
  if (token !== undefined && (!headerText.test(token) || token.length > textCharsMax)) throw new WeirError('InvalidArgument', 'a token is printable ASCII without spaces');
  if (secret !== undefined && (secret === '' || secret.length > textCharsMax)) throw new WeirError('InvalidArgument', `a secret has 1 to ${textCharsMax} characters`);
  if (certificates !== undefined && certificates.length > certificatesCharsMax) throw new WeirError('InvalidArgument', 'so many certificates are not kept');
  if (!getWebhook(tx, name) && listWebhooks(tx).length >= webhooksMax) throw new WeirError('InvalidArgument', `there are ${webhooksMax} webhooks already`);
  tx.put(webhookKey(name), encodeWebhook({
    url: parsed.href, ...(token === undefined ? {} : {token}), ...(secret === undefined ? {} : {secret}), ...(certificates === undefined ? {} : {certificates}),
  }));
}

/** NotFound, Busy. Its queue is the caller's to forget. */
export function removeWebhook(tx: Transaction, name: string): void {
  if (!getWebhook(tx, name)) throw new WeirError('NotFound', `there is no webhook ${JSON.stringify(name.slice(0, 100))}`);
  for (const {key, value} of tx.range(settingsTable)) {
    if (nameOfSettingKey(key) !== notificationSetting || !webhooksOf(Buffer.from(value).toString('utf8')).has(name)) continue;
    const bucket = locate(tx, idOfKey(key) as InodeId)?.path;
    if (bucket !== undefined) throw new WeirError('Busy', `the notification configuration of ${toText(bucket)} names the webhook ${name}`);
  }
  tx.delete(webhookKey(name));
}
