/** Object lock as XML: configuration of a bucket, retention and legal hold of a version. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {child, type Element, malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';
import type {DefaultRetention, Retention, RetentionMode} from '#model/object-lock.ts';

const daysMax = 36_500;
const yearsMax = 100;

function modeOf(text: string | undefined): RetentionMode {
  const mode = text?.trim();
  if (mode !== 'GOVERNANCE' && mode !== 'COMPLIANCE') throw malformed();
  return mode;
}

/** Undefined: enabled, and nothing is retained by default. MalformedXML, InvalidArgument / InvalidRetentionPeriod. */
export function parseObjectLock(xml: Buffer): DefaultRetention | undefined {
  const root = parseXml(xml, 'ObjectLockConfiguration');
  if (child(root, 'ObjectLockEnabled')?.trim() !== 'Enabled') throw malformed();
  const rule = root.children.find(({name}) => name === 'Rule');
  if (!rule) return undefined;
  const standard = rule.children.find(({name}) => name === 'DefaultRetention');
  if (!standard) throw malformed();
  const mode = modeOf(child(standard, 'Mode'));
  const days = periodOf(standard, 'Days', daysMax);
  const years = periodOf(standard, 'Years', yearsMax);
  if ((days === undefined) === (years === undefined)) throw malformed();
  return days === undefined ? {mode, years: years!} : {mode, days};
}

function periodOf(standard: Element, name: string, max: number): number | undefined {
  const text = child(standard, name)?.trim();
  if (text === undefined) return undefined;
  if (!/^-?\d{1,9}$/.test(text)) throw malformed();
  const number = Number(text);
  if (number < 1) throw new S3Error('InvalidRetentionPeriod', 'Default retention period must be a positive integer value.');
  if (number > max) throw new S3Error('InvalidRetentionPeriod', `Default retention period too large.`);
  return number;
}

export function objectLockXml(standard: DefaultRetention | undefined): string {
  const period = standard && (standard.days === undefined ? element('Years', standard.years!) : element('Days', standard.days));
  const rule = standard ? `<Rule><DefaultRetention>${element('Mode', standard.mode)}${period}</DefaultRetention></Rule>` : '';
  return xmlDocument('ObjectLockConfiguration', `${element('ObjectLockEnabled', 'Enabled')}${rule}`);
}

/** An empty document removes it: null. MalformedXML. */
export function parseRetention(xml: Buffer): Retention | null {
  const root = parseXml(xml, 'Retention');
  const date = child(root, 'RetainUntilDate')?.trim();
  if (root.children.length === 0) return null;
  return {mode: modeOf(child(root, 'Mode')), untilMs: dateOf(date)};
}

function dateOf(text: string | undefined): number {
  const ms = text === undefined || !/^\d{4}-\d\d-\d\d(T|$)/.test(text) ? NaN : Date.parse(text);
  if (Number.isNaN(ms)) throw malformed();
  return ms;
}

export function retentionXml({mode, untilMs}: Retention): string {
  return xmlDocument('Retention', `${element('Mode', mode)}${element('RetainUntilDate', new Date(untilMs).toISOString())}`);
}

/** True for ON. MalformedXML. */
export function parseLegalHold(xml: Buffer): boolean {
  const status = child(parseXml(xml, 'LegalHold'), 'Status')?.trim();
  if (status !== 'ON' && status !== 'OFF') throw malformed();
  return status === 'ON';
}

export function legalHoldXml(on: boolean): string {
  return xmlDocument('LegalHold', element('Status', on ? 'ON' : 'OFF'));
}
