/**
 * The keys that conditions of a bucket policy may name, and which of S3's go with which actions. Source: "AWS global condition context
 * keys" of the IAM User Guide, and "Actions, resources, and condition keys for Amazon S3" of the Service Authorization Reference.
 */

/** In small letters; those that end in `/` are followed by a name. */
const globalKeys: ReadonlySet<string> = new Set([
  'assumedroot', 'calledvia', 'calledviafirst', 'calledvialast', 'chatbotsourcearn', 'currenttime', 'ec2instancesourceprivateipv4', 'ec2instancesourcevpc', 'epochtime', 'federatedprovider',
  'multifactorauthage', 'multifactorauthpresent', 'principalaccount', 'principalarn', 'principalisawsservice', 'principalorgid', 'principalorgpaths', 'principalservicename', 'principalservicenameslist',
  'principaltag/', 'principaltype', 'referer', 'requestedregion', 'requesttag/', 'resourceaccount', 'resourceorgid', 'resourceorgpaths', 'resourcetag/', 'securetransport', 'sourceaccount', 'sourcearn',
  'sourceidentity', 'sourceinstancearn', 'sourceip', 'sourceorgid', 'sourceorgpaths', 'sourcevpc', 'sourcevpcarn', 'sourcevpce', 'tagkeys', 'tokenissuetime', 'useragent', 'userid', 'username',
  'viaawsservice', 'vpceaccount', 'vpceorgid', 'vpceorgpaths', 'vpcsourceip',
]);

const s3Keys: ReadonlySet<string> = new Set([
  'authtype', 'dataaccesspointaccount', 'dataaccesspointarn', 'delimiter', 'existingobjecttag/', 'if-match', 'if-none-match', 'locationconstraint', 'max-keys', 'object-lock-legal-hold', 'object-lock-mode',
  'object-lock-remaining-retention-days', 'object-lock-retain-until-date', 'objectcreationoperation', 'prefix', 'requestobjecttag/', 'requestobjecttagkeys', 'resourceaccount', 'signatureage', 'signatureversion',
  'tlsversion', 'versionid', 'x-amz-acl', 'x-amz-content-sha256', 'x-amz-copy-source', 'x-amz-grant-full-control', 'x-amz-grant-read', 'x-amz-grant-read-acp', 'x-amz-grant-write', 'x-amz-grant-write-acp',
  'x-amz-metadata-directive', 'x-amz-object-ownership', 'x-amz-server-side-encryption', 'x-amz-server-side-encryption-aws-kms-key-id', 'x-amz-server-side-encryption-customer-algorithm', 'x-amz-storage-class',
  'x-amz-website-redirect-location',
]);

const listings = /^s3:listbucket(versions)?$/;
/** Keys that only some actions have. */
const actionsOfKey: ReadonlyMap<string, RegExp> = new Map([
  ['s3:prefix', listings],
  ['s3:delimiter', listings],
  ['s3:max-keys', listings],
  ['s3:x-amz-acl', /^s3:(putobject|putobjectacl|putobjectversionacl|putbucketacl|createbucket|replicateobject)$/],
  ['s3:versionid', /^s3:\w+version\w*$/],
]);

/** Up to and with the slash before the name of a tag. */
const family = (key: string): string => key.slice(0, key.indexOf('/') + 1) || key;

/** `key` in small letters. Policies that were kept before may name global keys that are none. */
export function isConditionKey(key: string, kept: boolean): boolean {
  if (key.startsWith('s3:')) return s3Keys.has(family(key.slice(3)));
  return key.startsWith('aws:') && key.length > 4 && (kept || globalKeys.has(family(key.slice(4))));
}

/** Whether every action that is named in full has the key; patterns may mean actions that have it. Both in small letters. */
export function keyAppliesTo(key: string, actions: readonly string[]): boolean {
  const having = actionsOfKey.get(key);
  return having === undefined || actions.every((action) => /[*?]/.test(action) || having.test(action));
}
