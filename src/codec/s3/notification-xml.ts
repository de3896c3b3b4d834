/** NotificationConfiguration as XML, checked as S3 checks it. Whether the targets exist is the master's to say. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {child, type Element, malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import {covers, type FilterRule, knownEvents, type NotificationRule, webhookOfArn} from '#model/notification.ts';

const rulesMax = 100;
const idCharsMax = 255;
const filterBytesMax = 1024;

const invalid = (message: string, name?: string, value?: string): S3Error =>
  new S3Error('InvalidArgument', message, {...(name === undefined ? {} : {ArgumentName: name}), ...(value === undefined ? {} : {ArgumentValue: value})});

/** By element: the element that holds the ARN. */
const arnElements = {Queue: 'Queue', Topic: 'Topic', CloudFunction: 'CloudFunction'} as const;
type Form = keyof typeof arnElements;
const forms = new Map<string, Form>([['QueueConfiguration', 'Queue'], ['TopicConfiguration', 'Topic'], ['CloudFunctionConfiguration', 'CloudFunction']]);

/** MalformedXML, InvalidArgument; NotImplemented for EventBridge. `newId` names rules that came without an id. */
export function parseNotificationXml(xml: Buffer, newId: () => string): NotificationRule[] {
  const rules = parseXml(xml, 'NotificationConfiguration').children.map(found => {
    const form = forms.get(found.name);
    if (found.name === 'EventBridgeConfiguration') throw new S3Error('NotImplemented', 'Events are sent to webhooks, not to EventBridge.', {Header: found.name});
    if (!form) throw malformed();
    return ruleOf(found, form, newId);
  });
  if (rules.length > rulesMax) throw invalid(`At most ${rulesMax} notification configurations are allowed.`);
  if (new Set(rules.map(({id}) => id)).size < rules.length) throw invalid('Same ID used for multiple configurations. IDs must be unique');
  rules.forEach((rule, i) => {
    for (const other of rules.slice(0, i)) refuseOverlap(rule, other);
  });
  return rules;
}

function ruleOf(found: Element, form: Form, newId: () => string): NotificationRule {
  const id = child(found, 'Id') ?? '';
  if (id.length > idCharsMax) throw invalid('ID length should not exceed allowed limit of 255');
  const arn = child(found, arnElements[form])?.trim();
  const events = found.children.filter(({name}) => name === 'Event').map(({text}) => text.trim());
  if (arn === undefined || events.length === 0) throw malformed();
  for (const event of events) if (!knownEvents.has(event)) throw invalid('A specified event is not supported for notifications.', 'Event', event);
  if (events.some((one, i) => events.some((other, j) => i !== j && covers(one, other)))) {
    throw invalid('Configurations overlap. Configurations on the same bucket cannot share a common event type.');
  }
  if (webhookOfArn(arn) === undefined) throw unknownArn(arn);
  return {id: id === '' ? newId() : id, form, arn, events, filter: filterOf(found)};
}

export function unknownArn(arn: string): S3Error {
  return invalid('A specified destination ARN does not exist or is not well-formed. Verify the destination ARN.', 'Arn', arn);
}

function filterOf(found: Element): FilterRule[] {
  const filter = found.children.find(({name}) => name === 'Filter');
  const key = filter?.children.find(({name}) => name === 'S3Key' || name === 'S3KeyFilter');
  if (!filter || (filter.children.length === 0 && filter.text.trim() === '')) return [];
  if (!key) throw malformed();
  const rules = key.children.map((rule): FilterRule => {
    const [name, value] = [child(rule, 'Name')?.trim(), child(rule, 'Value')];
    if (rule.name !== 'FilterRule' || name === undefined || value === undefined) throw malformed();
    if (!/^(prefix|suffix)$/i.test(name)) throw invalid('filter rule name must be either prefix or suffix', 'FilterRule.Name', name);
    if (Buffer.byteLength(value) > filterBytesMax) throw invalid('Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation', 'FilterRule.Value');
    return {name, value};
  });
  for (const wanted of ['prefix', 'suffix']) {
    if (rules.filter(({name}) => name.toLowerCase() === wanted).length > 1) throw invalid(`Cannot specify more than one ${wanted} rule in a filter.`, 'FilterRule.Name', wanted);
  }
  return rules;
}

/** Of one event of one key at most one target is told. */
function refuseOverlap(a: NotificationRule, b: NotificationRule): void {
  const shared = a.events.some(one => b.events.some(other => covers(one, other) || covers(other, one)));
  const value = ({filter}: NotificationRule, wanted: string): string => filter.find(({name}) => name.toLowerCase() === wanted)?.value ?? '';
  const [aPrefix, bPrefix, aSuffix, bSuffix] = [value(a, 'prefix'), value(b, 'prefix'), value(a, 'suffix'), value(b, 'suffix')];
  const prefixes = aPrefix.startsWith(bPrefix) || bPrefix.startsWith(aPrefix);
  const suffixes = aSuffix.endsWith(bSuffix) || bSuffix.endsWith(aSuffix);
  if (!shared || !prefixes || !suffixes) return;
  if (a.filter.length === 0 && b.filter.length === 0) throw invalid('Configurations overlap. Configurations on the same bucket cannot share a common event type.');
  throw invalid('Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.');
}

export function notificationXml(rules: readonly NotificationRule[]): string {
  return xmlDocument('NotificationConfiguration', rules.map(ruleXml).join(''));
}

function ruleXml({id, form, arn, events, filter}: NotificationRule): string {
  const rules = filter.map(({name, value}) => `<FilterRule>${element('Name', name)}${element('Value', value)}</FilterRule>`).join('');
  const where = filter.length === 0 ? '' : `<Filter><S3Key>${rules}</S3Key></Filter>`;
  return `<${form}Configuration>${element('Id', id)}${element(arnElements[form], arn)}${events.map(event => element('Event', event)).join('')}${where}</${form}Configuration>`;
}
