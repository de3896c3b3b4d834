/** Errors as S3 answers them: code, HTTP status, XML. Codes and statuses: "Error responses" of the S3 API reference. */
import {errorCatalogue, WeirError} from '#base/errors.ts';

const statuses = {
  AccessControlListNotSupported: 400,
  AccessDenied: 403,
  AccessForbidden: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  BadRequest: 400,
  BucketAlreadyExists: 409,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  ConditionalRequestConflict: 409,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  ExpiredToken: 400,
  IllegalVersioningConfigurationException: 400,
  IncompleteBody: 400,
  IncorrectNumberOfFilesInPostRequest: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidAction: 400,
  InvalidArgument: 400,
  InvalidBucketAclWithObjectOwnership: 400,
  InvalidBucketName: 400,
  InvalidBucketState: 409,
  InvalidChunkSizeError: 403,
  InvalidDigest: 400,
  InvalidEncryptionAlgorithmError: 400,
  InvalidLocationConstraint: 400,
  InvalidParameterValue: 400,
  InvalidObjectState: 403,
  InvalidPart: 400,
  InvalidPartNumber: 416,
  InvalidPartOrder: 400,
  InvalidPolicyDocument: 400,
  InvalidRange: 416,
  InvalidRedirectLocation: 400,
  InvalidRequest: 400,
  InvalidRetentionPeriod: 400,
  InvalidStorageClass: 400,
  InvalidTag: 400,
  InvalidToken: 400,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MalformedACLError: 400,
  MalformedPOSTRequest: 400,
  MalformedPolicy: 400,
  MalformedPolicyDocument: 400,
  MalformedTrailerError: 400,
  MalformedXML: 400,
  MaxMessageLengthExceeded: 400,
  MaxPostPreDataLengthExceeded: 400,
  MetadataTooLarge: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  MissingRequestBodyError: 400,
  MissingSecurityHeader: 400,
  NoSuchBucket: 404,
  NoSuchBucketPolicy: 404,
  NoSuchCORSConfiguration: 404,
  NoSuchConfiguration: 404,
  NoSuchKey: 404,
  NoSuchLifecycleConfiguration: 404,
  NoSuchObjectLockConfiguration: 404,
  NoSuchPublicAccessBlockConfiguration: 404,
  NoSuchTagSet: 404,
  NoSuchUpload: 404,
  NoSuchVersion: 404,
  NoSuchWebsiteConfiguration: 404,
  NotImplemented: 501,
  ObjectLockConfigurationNotFoundError: 404,
  OperationAborted: 409,
  OwnershipControlsNotFoundError: 404,
  PackedPolicyTooLarge: 400,
  PreconditionFailed: 412,
  QuotaExceeded: 403,
  ReplicationConfigurationNotFoundError: 404,
  RequestHeaderSectionTooLarge: 400,
  RequestTimeTooSkewed: 403,
  RequestTimeout: 400,
  ServerSideEncryptionConfigurationNotFoundError: 404,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
  TooManyConfigurations: 400,
  UnexpectedContent: 400,
  UnsupportedSignature: 400,
  XAmzContentSHA256Mismatch: 400,
} as const;

export type S3Code = keyof typeof statuses;

/** A refusal with S3's own code. `fields` are further elements of the answer. */
export class S3Error extends Error {
  override name = 'S3Error';
  readonly code: S3Code;
  readonly fields: Readonly<Record<string, string>>;
  /** Names and values, one after the other, that the answer has beside the usual ones. */
  readonly headers: readonly string[];

  constructor(code: S3Code, message: string, fields: Readonly<Record<string, string>> = {}, options?: ErrorOptions & {readonly headers?: readonly string[]}) {
    super(message, options);
    this.code = code;
    this.fields = fields;
    this.headers = options?.headers ?? [];
  }

  get status(): number {
    return statuses[this.code];
  }
}

/** Whoever may not is told no more than that. */
export const accessDenied = (): S3Error => new S3Error('AccessDenied', 'Access Denied.');

function isCode(text: unknown): text is S3Code {
  return typeof text === 'string' && Object.hasOwn(statuses, text);
}

/** Details of failures that S3 has an element for. */
const elements = ['BadChunkSize', 'CalculatedDigest', 'Chunk', 'ExpectedDigest'];

function shownDetails({details}: WeirError): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const name of elements) if (details[name] !== undefined) fields[name] = String(details[name]);
  return fields;
}

/** What S3 would say: an S3Error as it is, a WeirError by its `s3` detail or its kind, anything else undefined (a bug). */
export function toS3Error(error: unknown): S3Error | undefined {
  if (error instanceof S3Error) return error;
  if (!(error instanceof WeirError)) return undefined;
  const named = error.details['s3'];
  const code = isCode(named) ? named : errorCatalogue[error.kind].s3;
  // What it has there and what was wanted is not for whoever only may write.
  if (code === 'PreconditionFailed') return new S3Error(code, 'At least one of the pre-conditions you specified did not hold.', {}, {cause: error});
  return new S3Error(isCode(code) ? code : 'InternalError', error.message, shownDetails(error));
}
