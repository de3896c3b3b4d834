/**
 * The principals of a bucket policy in the one form that the grammar of policies has: `"*"` or an object by kind. Clients of other stores
 * also send one name or a list of names, and access key ids where AWS has users; a key id becomes the ARN of its user, as AWS keeps the
 * user and not the name that was written.
 */
type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
/** As of keys that were made elsewhere, too. */
const keyIdPattern = /^[A-Za-z0-9._-]{3,128}$/;

/** The same text where nothing is to be done; what is no policy is left for its parser to refuse. `arnOfKey`: undefined for ids that are nobody's. */
export function withPrincipalForm(text: string, arnOfKey: (accessKeyId: string) => string | undefined): string {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    return text;
  }
  if (!isObject(root)) return text;
  const name = (value: unknown): unknown => (typeof value === 'string' && keyIdPattern.test(value) ? (arnOfKey(value) ?? value) : value);
  const names = (value: unknown): unknown => (Array.isArray(value) ? value.map(name) : name(value));
  const principal = (value: unknown): unknown => {
    if (isObject(value)) return 'AWS' in value ? {...value, AWS: names(value['AWS'])} : value;
    return value === '*' || (typeof value !== 'string' && !Array.isArray(value)) ? value : {AWS: names(value)};
  };
  const statement = (value: unknown): unknown =>
    isObject(value) ? Object.fromEntries(Object.entries(value).map(([field, content]) => [field, /^(Not)?Principal$/.test(field) ? principal(content) : content])) : value;
  const statements = root['Statement'];
  const formed = JSON.stringify({...root, ...(statements === undefined ? {} : {Statement: Array.isArray(statements) ? statements.map(statement) : statement(statements)})});
  return formed === JSON.stringify(root) ? text : formed;
}
