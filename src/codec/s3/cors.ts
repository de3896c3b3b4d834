/** Cross-origin rules of a bucket. Source: "Using cross-origin resource sharing", S3 User Guide; the Fetch standard's CORS protocol. */
import {type ByteString, toText} from '#base/byte-string.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, xmlDocument} from '#codec/s3/xml-write.ts';

export interface CorsRule {
  readonly id?: string;
  readonly allowedOrigins: readonly string[];
  readonly allowedMethods: readonly string[];
  readonly allowedHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSeconds?: number;
}

const rulesMax = 100;
const methods: ReadonlySet<string> = new Set(['GET', 'PUT', 'POST', 'DELETE', 'HEAD']);
const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const vary = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method';

/** MalformedXML, InvalidRequest. */
export function parseCors(xml: Buffer): readonly CorsRule[] {
  const rules = parseXml(xml, 'CORSConfiguration').children.map((rule): CorsRule => {
    if (rule.name !== 'CORSRule') throw malformed();
    const all = (name: string) => rule.children.filter((each) => each.name === name).map(({text}) => text.trim());
    const [allowedOrigins, allowedMethods, allowedHeaders, exposeHeaders] = [all('AllowedOrigin'), all('AllowedMethod'), all('AllowedHeader'), all('ExposeHeader')];
    const [id] = all('ID');
    const [maxAge] = all('MaxAgeSeconds');
    if (allowedOrigins.length === 0 || allowedMethods.length === 0) throw malformed();
    for (const origin of allowedOrigins) if (origin.split('*').length > 2) throw new S3Error('InvalidRequest', `AllowedOrigin "${origin}" can not have more than one wildcard.`);
    for (const method of allowedMethods) if (!methods.has(method)) throw new S3Error('InvalidRequest', `Found unsupported HTTP method in CORS config. Unsupported method is ${method}`);
    for (const header of [...allowedHeaders, ...exposeHeaders]) if (header !== '' && !headerName.test(header)) throw new S3Error('InvalidRequest', `AllowedHeader "${header}" contains invalid character.`);
    if (maxAge !== undefined && !/^-?\d{1,9}$/.test(maxAge)) throw malformed();
    return {allowedOrigins, allowedMethods, allowedHeaders, exposeHeaders, ...(id === undefined ? {} : {id}), ...(maxAge === undefined ? {} : {maxAgeSeconds: Number(maxAge)})};
  });
  if (rules.length === 0 || rules.length > rulesMax) throw malformed();
  return rules;
}

export function corsXml(rules: readonly CorsRule[]): string {
  const all = (name: string, values: readonly string[]) => values.map((value) => element(name, value)).join('');
  const one = (rule: CorsRule) =>
    `<CORSRule>${rule.id === undefined ? '' : element('ID', rule.id)}${all('AllowedHeader', rule.allowedHeaders)}${all('AllowedMethod', rule.allowedMethods)}${all('AllowedOrigin', rule.allowedOrigins)}` +
    `${all('ExposeHeader', rule.exposeHeaders)}${rule.maxAgeSeconds === undefined ? '' : element('MaxAgeSeconds', rule.maxAgeSeconds)}</CORSRule>`;
  return xmlDocument('CORSConfiguration', rules.map(one).join(''));
}

/** One `*` stands for any characters. */
function matches(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === text;
  return text.length >= pattern.length - 1 && text.startsWith(pattern.slice(0, star)) && text.endsWith(pattern.slice(star + 1));
}

/** Names of `Access-Control-Request-Headers`, lower case. BadRequest. */
export function requestedHeaders(text: string | undefined): readonly string[] {
  if (text === undefined || text.trim() === '') return [];
  return text.split(',').map((part) => {
    const name = part.trim();
    if (!headerName.test(name)) throw new S3Error('BadRequest', `Access-Control-Request-Headers "${toText(part as ByteString)}" contains invalid character.`);
    return name.toLowerCase();
  });
}

/** BadRequest. */
export function requestedMethod(text: string | undefined): string {
  if (text === undefined || !methods.has(text)) throw new S3Error('BadRequest', `Invalid Access-Control-Request-Method: ${text ?? ''}`);
  return text;
}

/** Headers for an answer to this origin, [name, value, …], by the first rule that allows it; undefined when none does. */
export function corsHeaders(rules: readonly CorsRule[], origin: string, method: string, headers: readonly string[]): readonly string[] | undefined {
  for (const rule of rules) {
    const found = rule.allowedOrigins.find((pattern) => matches(pattern, origin));
    if (found === undefined || !rule.allowedMethods.includes(method)) continue;
    if (!headers.every((name) => rule.allowedHeaders.some((pattern) => matches(pattern.toLowerCase(), name)))) continue;
    return [
      'Access-Control-Allow-Origin', found === '*' ? '*' : origin,
      'Access-Control-Allow-Methods', rule.allowedMethods.join(', '),
      ...(found === '*' ? [] : ['Access-Control-Allow-Credentials', 'true']),
      ...(headers.length > 0 ? ['Access-Control-Allow-Headers', headers.join(', ')] : []),
      ...(rule.exposeHeaders.length > 0 ? ['Access-Control-Expose-Headers', rule.exposeHeaders.join(', ')] : []),
      ...(rule.maxAgeSeconds === undefined ? [] : ['Access-Control-Max-Age', String(rule.maxAgeSeconds)]),
      'Vary', vary,
    ];
  }
  return undefined;
}
