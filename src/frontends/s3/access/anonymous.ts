/**
 * What nobody may do unsigned, whatever policies and lists say, in S3's own words. Source: the answers of S3; "You cannot use anonymous
 * requests to …" in the API reference of each operation.
 */
import {S3Error} from '#codec/s3/s3-error.ts';

const please = 'Please authenticate.';
const noApi = `Anonymous users cannot invoke this API. ${please}`;
const noSupport = (action: string): string => `s3:${action} does not support Anonymous requests!`;

const refusals: Readonly<Record<'bucket' | 'object', Readonly<Record<string, string>>>> = {
  bucket: {
    'PUT ': noApi,
    'PUT acl': noApi,
    'GET ownershipControls': noSupport('GetBucketOwnershipControls'),
    'PUT ownershipControls': noSupport('PutBucketOwnershipControls'),
    'DELETE ownershipControls': noSupport('PutBucketOwnershipControls'),
  },
  object: {
    'PUT acl': noApi,
    'POST select': noApi,
    'POST uploads': `Anonymous users cannot initiate multipart uploads. ${please}`,
  },
};
const noCopy = `Anonymous users cannot copy objects. ${please}`;

/** AccessDenied. */
export function refuseAnonymous(on: 'bucket' | 'object', method: string, subResource: string, copies: boolean): void {
  const message = on === 'object' && method === 'PUT' && subResource === '' && copies ? noCopy : refusals[on][`${method} ${subResource}`];
  if (message !== undefined) throw new S3Error('AccessDenied', message);
}
