/**
 * Small configurations of a bucket that are kept and given back: encryption by default (every object is answered as AWS does, see
 * encryption.ts), who pays, acceleration. A setting is the value alone; the documents are made of it.
 */
import {S3Error} from '#codec/s3/s3-error.ts';
import {child, type Element, malformed, parseXml} from '#codec/s3/xml-read.ts';
import {element, optionalElement, xmlDocument} from '#codec/s3/xml-write.ts';
import {requestPaymentSetting} from '#frontends/s3/access/bucket-rules.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, xml} from '#frontends/s3/request.ts';

interface Configuration {
  readonly setting: string;
  readonly root: string;
  /** The value of a document; MalformedXML and others. */
  readonly parse: (root: Element) => string;
  /** The document's content; without a value what S3 says of a bucket that nobody has configured. */
  readonly show: (value: string | undefined) => string;
  /** Status of PUT. */
  readonly status?: number;
}

type Methods = Readonly<Record<string, Operation>>;

function methodsOf({setting, root, parse, show}: Configuration): Methods {
  return {
    GET: async (request) => {
      const bucket = bucketOf(request);
      const {inode} = await requireBucket(request, bucket);
      const {settings} = inode.settings === undefined ? {settings: {} as Record<string, string>} : await request.files.getSettings(bucketPath(bucket), request.context);
      await xml(request, xmlDocument(root, show(settings[setting])));
    },
    PUT: async (request) => {
      const bucket = bucketOf(request);
      await requireBucket(request, bucket);
      const value = parse(parseXml(await documentOf(request), root));
      await request.files.setSetting(bucketPath(bucket), setting, value, request.context);
      await answer(request, 200);
    },
  };
}

function deleteOf(setting: string): Operation {
  return async (request) => {
    const bucket = bucketOf(request);
    const {inode} = await requireBucket(request, bucket);
    if (inode.settings !== undefined) await request.files.setSetting(bucketPath(bucket), setting, null, request.context);
    await answer(request, 204);
  };
}

const oneOf = (text: string | undefined, ...words: string[]): string => {
  const word = text?.trim() ?? '';
  if (!words.includes(word)) throw malformed();
  return word;
};

const encryption = methodsOf({
  setting: 'encryption',
  root: 'ServerSideEncryptionConfiguration',
  parse: (root) => {
    const rules = root.children.filter(({name}) => name === 'Rule');
    const byDefault = rules[0]?.children.find(({name}) => name === 'ApplyServerSideEncryptionByDefault');
    if (rules.length !== 1 || !byDefault) throw malformed();
    const algorithm = oneOf(child(byDefault, 'SSEAlgorithm'), 'AES256', 'aws:kms', 'aws:kms:dsse');
    const key = child(byDefault, 'KMSMasterKeyID')?.trim() ?? '';
    if (key !== '' && algorithm === 'AES256') throw malformed();
    // With such a key, writes that do not ask for another encryption are refused (encryption.ts).
    return key === '' ? algorithm : `${algorithm} ${key}`;
  },
  show: (value) => {
    if (value === undefined) throw new S3Error('ServerSideEncryptionConfigurationNotFoundError', 'The server side encryption configuration was not found');
    const [algorithm = '', key] = value.split(' ');
    const byDefault = `${element('SSEAlgorithm', algorithm)}${optionalElement('KMSMasterKeyID', key)}`;
    return `<Rule><ApplyServerSideEncryptionByDefault>${byDefault}</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>`;
  },
});

const requestPayment = methodsOf({
  setting: requestPaymentSetting,
  root: 'RequestPaymentConfiguration',
  parse: (root) => oneOf(child(root, 'Payer'), 'BucketOwner', 'Requester'),
  show: (value) => element('Payer', value ?? 'BucketOwner'),
});

const accelerate = methodsOf({
  setting: 'accelerate',
  root: 'AccelerateConfiguration',
  parse: (root) => {
    const status = oneOf(child(root, 'Status'), 'Enabled', 'Suspended');
    if (status === 'Enabled') throw new S3Error('NotImplemented', 'Transfer acceleration is not implemented.');
    return status;
  },
  show: (value) => (value === undefined ? '' : element('Status', value)),
});

/** Logs are the instance's own affair: nothing but "none" can be set. */
const logging = methodsOf({
  setting: 'logging',
  root: 'BucketLoggingStatus',
  parse: (root) => {
    if (root.children.some(({name}) => name === 'LoggingEnabled')) throw new S3Error('NotImplemented', 'Server access logging into buckets is not implemented.');
    return '';
  },
  show: () => '',
});

/** By sub-resource. */
export const bucketConfigurations: Readonly<Record<string, Methods>> = {
  accelerate,
  encryption: {...encryption, DELETE: deleteOf('encryption')},
  logging,
  requestPayment,
};
