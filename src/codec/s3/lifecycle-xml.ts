/** LifecycleConfiguration as XML, checked as S3 checks it. Transitions are refused: Weir has no storage classes to move anything to. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {child, type Element, malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, optionalElement, xmlDocument} from '#codec/s3/xml-write.ts';
import type {Expiration, LifecycleFilter, LifecycleRule} from '#model/lifecycle.ts';

const rulesMax = 1_000;
const idCharsMax = 255;
const keepMax = 100;
const dayMs = 86_400_000;

const invalid = (message: string): S3Error => new S3Error('InvalidArgument', message);
const elementOf = (parent: Element, name: string): Element | undefined => parent.children.find(candidate => candidate.name === name);

/** MalformedXML, InvalidArgument, InvalidRequest; NotImplemented for transitions. `newId` names rules that came without an id. */
export function parseLifecycle(xml: Buffer, newId: () => string): LifecycleRule[] {
  const rules = parseXml(xml, 'LifecycleConfiguration').children.map(rule => ruleOf(rule, newId));
  if (rules.length === 0 || rules.length > rulesMax) throw malformed();
  if (new Set(rules.map(({id}) => id)).size < rules.length) throw invalid('Rule ID must be unique. Found same ID for more than one rule');
  return rules;
}

function ruleOf(rule: Element, newId: () => string): LifecycleRule {
  if (rule.name !== 'Rule') throw malformed();
  const status = child(rule, 'Status');
  if (status !== 'Enabled' && status !== 'Disabled') throw malformed();
  const id = child(rule, 'ID') ?? '';
  if (id.length > idCharsMax) throw invalid('ID length should not exceed allowed limit of 255');
  for (const name of ['Transition', 'NoncurrentVersionTransition']) {
    const transition = elementOf(rule, name);
    const date = transition && child(transition, 'Date');
    if (date !== undefined) dateOf(date);
    if (transition) throw new S3Error('NotImplemented', 'Transitions to other storage classes are not implemented.', {Header: name});
  }
  const expiration = expirationOf(elementOf(rule, 'Expiration'));
  const noncurrent = noncurrentOf(elementOf(rule, 'NoncurrentVersionExpiration'));
  const abort = elementOf(rule, 'AbortIncompleteMultipartUpload');
  if (!expiration && !noncurrent && !abort) throw new S3Error('InvalidRequest', 'At least one action needs to be specified in a rule');
  const {form, filter} = filterOf(rule);
  if (filter.tags && (abort || (expiration && 'expiredDeleteMarker' in expiration))) throw new S3Error('InvalidRequest', 'This action cannot be specified with a tag filter');
  return {
    id: id === '' ? newId() : id, enabled: status === 'Enabled', form, filter, ...(expiration ? {expiration} : {}), ...(noncurrent ? {noncurrent} : {}),
    ...(abort ? {abortUploadsAfterDays: daysOf(child(abort, 'DaysAfterInitiation'), "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")} : {}),
  };
}

function daysOf(text: string | undefined, message: string, max = 2 ** 31 - 1): number {
  const days = text?.trim() ?? '';
  if (!/^-?\d{1,10}$/.test(days)) throw malformed();
  if (Number(days) < 1 || Number(days) > max) throw invalid(message);
  return Number(days);
}

/** A day at midnight UTC. */
function dateOf(text: string): number {
  const trimmed = text.trim();
  const ms = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:?\d\d)?)?$/.test(trimmed) ? Date.parse(trimmed) : NaN;
  if (Number.isNaN(ms)) throw malformed();
  if (ms % dayMs !== 0) throw invalid("'Date' must be at midnight GMT");
  return ms;
}

function expirationOf(found: Element | undefined): Expiration | undefined {
  if (!found) return undefined;
  const [days, date, marker] = ['Days', 'Date', 'ExpiredObjectDeleteMarker'].map(name => child(found, name));
  if ([days, date, marker].filter(text => text !== undefined).length !== 1) throw malformed();
  if (days !== undefined) return {days: daysOf(days, "'Days' for Expiration action must be a positive integer")};
  if (date !== undefined) return {dateMs: dateOf(date)};
  if (marker!.trim() !== 'true') throw malformed();
  return {expiredDeleteMarker: true};
}

function noncurrentOf(found: Element | undefined): LifecycleRule['noncurrent'] | undefined {
  if (!found) return undefined;
  const days = daysOf(child(found, 'NoncurrentDays'), "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer");
  const keep = child(found, 'NewerNoncurrentVersions');
  return keep === undefined ? {days} : {days, keep: daysOf(keep, "'NewerNoncurrentVersions' must be 1 to 100", keepMax)};
}

function filterOf(rule: Element): Pick<LifecycleRule, 'form' | 'filter'> {
  const prefix = child(rule, 'Prefix');
  const found = elementOf(rule, 'Filter');
  if ((prefix === undefined) === (found === undefined)) throw malformed();
  if (!found) return {form: 'prefix', filter: {prefix: prefix!}};
  const and = elementOf(found, 'And');
  if (found.children.length > 1 || (and && and.children.length < 2)) throw malformed();
  return {form: and ? 'and' : 'filter', filter: conditionsOf(and ?? found)};
}

function conditionsOf(found: Element): LifecycleFilter {
  const tags = found.children.filter(({name}) => name === 'Tag').map((tag): [string, string] => {
    const [key, value] = [child(tag, 'Key'), child(tag, 'Value')];
    if (key === undefined || key === '' || value === undefined) throw malformed();
    return [key, value];
  });
  if (new Set(tags.map(([key]) => key)).size < tags.length) throw new S3Error('InvalidRequest', 'Duplicate Tag Keys are not allowed.');
  const [prefix, over, under] = ['Prefix', 'ObjectSizeGreaterThan', 'ObjectSizeLessThan'].map(name => child(found, name));
  for (const size of [over, under]) if (size !== undefined && !/^\d{1,15}$/.test(size.trim())) throw malformed();
  if (over !== undefined && under !== undefined && Number(under) <= Number(over) + 1) throw new S3Error('InvalidRequest', "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.");
  return {
    ...(prefix === undefined ? {} : {prefix}), ...(tags.length > 0 ? {tags} : {}), ...(over === undefined ? {} : {sizeOver: Number(over)}), ...(under === undefined ? {} : {sizeUnder: Number(under)}),
  };
}

export function lifecycleXml(rules: readonly LifecycleRule[]): string {
  return xmlDocument('LifecycleConfiguration', rules.map(ruleXml).join(''));
}

function ruleXml({id, enabled, form, filter, expiration, noncurrent, abortUploadsAfterDays}: LifecycleRule): string {
  const {prefix, tags = [], sizeOver, sizeUnder} = filter;
  const conditions =
    optionalElement('Prefix', prefix) + tags.map(([key, value]) => `<Tag>${element('Key', key)}${element('Value', value)}</Tag>`).join('') +
    optionalElement('ObjectSizeGreaterThan', sizeOver) + optionalElement('ObjectSizeLessThan', sizeUnder);
  const where = form === 'prefix' ? conditions : `<Filter>${form === 'and' ? `<And>${conditions}</And>` : conditions}</Filter>`;
  const inner =
    (expiration ? `<Expiration>${expirationXml(expiration)}</Expiration>` : '') +
    (noncurrent ? `<NoncurrentVersionExpiration>${element('NoncurrentDays', noncurrent.days)}${optionalElement('NewerNoncurrentVersions', noncurrent.keep)}</NoncurrentVersionExpiration>` : '') +
    (abortUploadsAfterDays === undefined ? '' : `<AbortIncompleteMultipartUpload>${element('DaysAfterInitiation', abortUploadsAfterDays)}</AbortIncompleteMultipartUpload>`);
  return `<Rule>${element('ID', id)}${where}${element('Status', enabled ? 'Enabled' : 'Disabled')}${inner}</Rule>`;
}

function expirationXml(expiration: Expiration): string {
  if ('days' in expiration) return element('Days', expiration.days);
  return 'dateMs' in expiration ? element('Date', new Date(expiration.dateMs).toISOString()) : element('ExpiredObjectDeleteMarker', true);
}
