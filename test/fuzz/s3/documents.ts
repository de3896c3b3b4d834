/** Changes of documents that leave them well-formed: what refuses them is not their reader, but who understands them. */
import type {Random} from '../mutate.ts';
import {dates, keyTexts, numbers, texts} from './words.ts';

const value = (random: Random): string => random.of(random.of([numbers, dates, texts, keyTexts]));

/** Of XML: the text of an element, or a whole element gone, doubled, moved or renamed. */
function changeXml(document: string, random: Random): string {
  const leaves = [...document.matchAll(/<(\w+)(?: [^>]*)?>([^<]*)<\/\1>/g)];
  const elements = [...document.matchAll(/<(\w+)(?: [^>]*)?>(?:(?!<\1[ >])[^])*?<\/\1>/g)];
  const leaf = random.of(leaves);
  const element = random.of(elements);
  const other = random.of(elements);
  if (!leaf || !element || !other) return document;
  const replaced = (match: RegExpExecArray, by: string): string => document.slice(0, match.index) + by + document.slice(match.index + match[0].length);
  switch (random.below(6)) {
    case 0: return replaced(element, '');
    case 1: return replaced(element, element[0] + element[0]);
    case 2: return replaced(element, other[0]);
    case 3: return replaced(element, element[0].replaceAll(element[1]!, random.of(elements)![1]!));
    default: return replaced(leaf, leaf[0].replace(`>${leaf[2]!}<`, () => `>${value(random).replaceAll(/[<&]/g, '_')}<`));
  }
}

/** Of JSON: one value of it, or one name. */
function changeJson(document: string, random: Random): string {
  let root: unknown;
  try {
    root = JSON.parse(document);
  } catch {
    return document;
  }
  const places: {readonly holder: Record<string, unknown>; readonly name: string}[] = [];
  const visit = (holder: unknown): void => {
    if (typeof holder !== 'object' || holder === null) return;
    for (const [name, inner] of Object.entries(holder)) {
      places.push({holder: holder as Record<string, unknown>, name});
      visit(inner);
    }
  };
  visit(root);
  const place = random.of(places);
  if (!place) return document;
  const {holder, name} = place;
  const old = holder[name];
  switch (random.below(7)) {
    case 0: delete holder[name]; break;
    case 1: holder[name] = [old, old]; break;
    case 2: holder[name] = random.of<unknown>([1, null, true, {}, [], '', {a: 'b'}]); break;
    case 3: holder[random.of(names)] = old; break;
    // A copy: it may be what this value lies in.
    case 4: holder[name] = structuredClone(random.of(places)!.holder[name]) ?? random.of(words); break;
    default: holder[name] = random.of(words);
  }
  return JSON.stringify(root);
}

const names = ['NotPrincipal', 'NotAction', 'NotResource', 'Sid', 'Id', 'StringNotEqualsIfExists', 'ForAnyValue:StringLike', 'NumericLessThan', 'DateGreaterThan', 'Bool', 'Null', 'NotIpAddress',
  'ArnLike', 'aws:CurrentTime',
  's3:prefix', 's3:ExistingObjectTag/a', 's3:RequestObjectTag/a', 'aws:PrincipalArn', 'CanonicalUser', 'Federated', 'Nonsense', '__proto__'];
const words = ['*', 's3:*', 's3:Get*', 's3:PutObject', 's3:ListBucket', 's3:????', 'arn:aws:s3:::plain', 'arn:aws:s3:::plain/*', 'arn:aws:s3:::*', 'arn:aws:s3:::plain/${aws:username}/${s3:prefix}',
  '${', '${*}', 'Allow', 'Deny', '2008-10-17',
  '10.0.0.0/8', '::1/128', '300.1.1.1', '2030-01-01T00:00:00Z', 'true', '1', 'arn:aws:iam:::user/alice', 'arn:aws:iam::111111111111:root', 'AAAAAAAAAAAAAAAAAAAA', '\u0000', '\ud800', '*'.repeat(40)];

/** The policy of a browser's form, which stands in it in base64. */
function changeForm(form: string, random: Random): string {
  const changed = (policy: string): string => Buffer.from(changeJson(Buffer.from(policy, 'base64').toString(), random)).toString('base64');
  if (random.below(3) > 0) return form.replace(/(name="policy"\r\n\r\n)([^\r]*)/, (_, head: string, policy: string) => head + changed(policy));
  const fields = [...form.matchAll(/name="([\w$-]+)"\r\n\r\n([^\r]*)/g)];
  const field = random.of(fields);
  if (!field) return form;
  const name = random.below(3) === 0 ? random.of(fields)![1]! : field[1]!;
  return `${form.slice(0, field.index)}name="${name}"\r\n\r\n${value(random)}${form.slice(field.index + field[0].length)}`;
}

/** Whatever it is; text of one character a byte. */
export function changeDocument(document: string, random: Random): string {
  if (document.startsWith('{')) return Buffer.from(changeJson(Buffer.from(document, 'latin1').toString(), random)).toString('latin1');
  return document.startsWith('--') ? changeForm(document, random) : changeXml(document, random);
}
