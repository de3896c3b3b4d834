/** WebsiteConfiguration as XML, checked as S3 checks it. */
import {S3Error} from '#codec/s3/s3-error.ts';
import {child, type Element, malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, optionalElement, xmlDocument} from '#codec/s3/xml-write.ts';
import type {Redirect, RoutingRule, Website} from '#model/website.ts';

const rulesMax = 50;
const textBytesMax = 1024;
/** A name or address, perhaps with a port: nothing that could end a header or the host of a URL. */
const hostPattern = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/;

/** What S3 takes, whatever its message says. */
const errorStatuses = /^(4(0\d|1[0-7])|50[0-5])$/;
const redirectStatuses = /^30[1-578]$/;

const refuse = (message: string): S3Error => new S3Error('InvalidRequest', message);
const invalid = (message: string, name: string, value: string): S3Error => new S3Error('InvalidArgument', message, {ArgumentName: name, ArgumentValue: value});
const elementOf = (parent: Element, name: string): Element | undefined => parent.children.find(candidate => candidate.name === name);

/** MalformedXML, InvalidArgument, InvalidRequest. */
export function parseWebsiteXml(xml: Buffer): Website {
  const root = parseXml(xml, 'WebsiteConfiguration');
  const all = elementOf(root, 'RedirectAllRequestsTo');
  if (all) {
    if (root.children.length > 1) throw malformed();
    const {hostName, protocol} = redirectOf(all);
    if (hostName === undefined) throw malformed();
    return {redirectAll: {hostName, ...(protocol ? {protocol} : {})}};
  }
  const index = suffixOf(elementOf(root, 'IndexDocument'));
  const error = elementOf(root, 'ErrorDocument');
  const key = error && child(error, 'Key');
  if (error && (key === undefined || key === '' || Buffer.byteLength(key) > textBytesMax)) throw invalid('The ErrorDocument Key is not well formed', 'ErrorDocument', key ?? '');
  const rules = (elementOf(root, 'RoutingRules')?.children ?? []).map(ruleOf);
  if (rules.length > rulesMax) throw refuse(`${rules.length} routing rules provided, the number of routing rules in a website configuration is limited to ${rulesMax}.`);
  return {index, ...(key === undefined ? {} : {error: key}), rules};
}

function suffixOf(index: Element | undefined): string {
  if (!index) throw invalid('A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty', 'IndexDocument', 'null');
  const suffix = child(index, 'Suffix') ?? '';
  if (suffix === '' || suffix.includes('/') || Buffer.byteLength(suffix) > textBytesMax) throw invalid('The IndexDocument Suffix is not well formed', 'IndexDocument', suffix);
  return suffix;
}

function ruleOf(found: Element): RoutingRule {
  const redirect = elementOf(found, 'Redirect');
  if (found.name !== 'RoutingRule' || !redirect) throw malformed();
  const condition = elementOf(found, 'Condition');
  const prefix = condition && child(condition, 'KeyPrefixEquals');
  const status = condition && child(condition, 'HttpErrorCodeReturnedEquals')?.trim();
  if (condition && !prefix && !status) throw malformed();
  if (status !== undefined && !/^\d{1,9}$/.test(status)) throw malformed();
  if (status !== undefined && !errorStatuses.test(status)) throw refuse(`The provided HTTP error code (${status}) is not valid. Valid codes are 4XX or 5XX.`);
  return {...(prefix === undefined ? {} : {keyPrefix: prefix}), ...(status === undefined ? {} : {errorStatus: Number(status)}), redirect: redirectOf(redirect)};
}

function redirectOf(found: Element): Redirect {
  const [protocol, hostName, status] = ['Protocol', 'HostName', 'HttpRedirectCode'].map(name => child(found, name)?.trim());
  const [replacePrefix, replaceKey] = ['ReplaceKeyPrefixWith', 'ReplaceKeyWith'].map(name => child(found, name));
  if (![protocol, hostName, status, replacePrefix, replaceKey].some(text => text)) throw malformed();
  if (replaceKey !== undefined && replacePrefix !== undefined) throw refuse('You can only define ReplaceKeyPrefix or ReplaceKey but not both.');
  if (protocol !== undefined && protocol !== 'http' && protocol !== 'https') throw refuse('Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.');
  if (status !== undefined && !/^\d{1,9}$/.test(status)) throw malformed();
  if (status !== undefined && !redirectStatuses.test(status)) throw refuse(`The provided HTTP redirect code (${status}) is not valid. Valid codes are 3XX except 300.`);
  if (hostName !== undefined && !hostPattern.test(hostName)) throw refuse('The host name of a redirect is not valid.');
  return {
    ...(protocol === undefined ? {} : {protocol}), ...(hostName === undefined ? {} : {hostName}), ...(replacePrefix === undefined ? {} : {replacePrefix}), ...(replaceKey === undefined ? {} : {replaceKey}),
    ...(status === undefined ? {} : {status: Number(status)}),
  };
}

export function websiteXml(website: Website): string {
  if ('redirectAll' in website) return xmlDocument('WebsiteConfiguration', `<RedirectAllRequestsTo>${redirectXml(website.redirectAll)}</RedirectAllRequestsTo>`);
  const {index, error, rules} = website;
  const shown = rules.map(ruleXml).join('');
  const parts = `<IndexDocument>${element('Suffix', index)}</IndexDocument>${error === undefined ? '' : `<ErrorDocument>${element('Key', error)}</ErrorDocument>`}`;
  return xmlDocument('WebsiteConfiguration', parts + (shown === '' ? '' : `<RoutingRules>${shown}</RoutingRules>`));
}

function ruleXml({keyPrefix, errorStatus, redirect}: RoutingRule): string {
  const conditions = optionalElement('KeyPrefixEquals', keyPrefix) + optionalElement('HttpErrorCodeReturnedEquals', errorStatus);
  return `<RoutingRule>${conditions === '' ? '' : `<Condition>${conditions}</Condition>`}<Redirect>${redirectXml(redirect)}</Redirect></RoutingRule>`;
}

function redirectXml({protocol, hostName, replacePrefix, replaceKey, status}: Redirect): string {
  const host = optionalElement('Protocol', protocol) + optionalElement('HostName', hostName);
  return host + optionalElement('ReplaceKeyPrefixWith', replacePrefix) + optionalElement('ReplaceKeyWith', replaceKey) + optionalElement('HttpRedirectCode', status);
}
