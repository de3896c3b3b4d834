/** What an S3 error answer means to Weir. Source: "Error responses" of the S3 API reference; statuses decide where codes are unknown. */
import {type ErrorKind, WeirError} from '#base/errors.ts';
import {childText, parseXml, type XmlElement} from '#connectors/s3/xml.ts';

const kinds: Readonly<Record<string, ErrorKind>> = {
  NoSuchKey: 'NotFound', NoSuchUpload: 'NotFound', NoSuchVersion: 'NotFound', NotFound: 'NotFound',
  AccessDenied: 'PermissionDenied', AllAccessDisabled: 'PermissionDenied', AccountProblem: 'PermissionDenied', InvalidObjectState: 'PermissionDenied', MethodNotAllowed: 'Unsupported',
  InvalidAccessKeyId: 'Unauthenticated', SignatureDoesNotMatch: 'Unauthenticated', ExpiredToken: 'Unauthenticated', InvalidToken: 'Unauthenticated', RequestTimeTooSkewed: 'Unauthenticated',
  PreconditionFailed: 'PreconditionFailed', ConditionalRequestConflict: 'Conflict', OperationAborted: 'Conflict',
  InvalidRange: 'RangeNotSatisfiable', KeyTooLongError: 'NameTooLong', EntityTooLarge: 'TooLarge', EntityTooSmall: 'InvalidArgument', BadDigest: 'BadDigest', InvalidDigest: 'BadDigest',
  IncompleteBody: 'IncompleteBody', NotImplemented: 'Unsupported', SlowDown: 'Overloaded', TooManyRequests: 'Overloaded', ServiceUnavailable: 'Overloaded', Throttling: 'Overloaded',
  RequestTimeout: 'Unavailable', InternalError: 'Unavailable', QuotaExceeded: 'NoSpace', XMinioStorageFull: 'NoSpace',
};

const statuses: Readonly<Record<number, ErrorKind>> = {
  301: 'InvalidArgument', 307: 'Unavailable', 400: 'InvalidArgument', 401: 'Unauthenticated', 403: 'PermissionDenied', 404: 'NotFound', 405: 'Unsupported', 408: 'Unavailable', 409: 'Conflict', 411: 'InvalidArgument',
  412: 'PreconditionFailed', 416: 'RangeNotSatisfiable', 429: 'Overloaded', 501: 'Unsupported', 503: 'Overloaded', 507: 'NoSpace',
};

export interface FailedAnswer {
  readonly status: number;
  /** Empty for HEAD. */
  readonly body: string;
  readonly header: (name: string) => string | undefined;
  /** `GET of bucket/key`, for people. */
  readonly what: string;
  readonly bucket: string;
}

/** The code of an error document; undefined when it is none (a proxy's page, nothing at all). */
export function errorCode(body: string): string | undefined {
  const root = errorElement(body);
  return root && childText(root, 'Code');
}

export function errorOf({status, body, header, what, bucket}: FailedAnswer): WeirError {
  const root = errorElement(body);
  const code = root && childText(root, 'Code');
  const said = root && childText(root, 'Message');
  const region = header('x-amz-bucket-region') ?? (root && childText(root, 'Region'));
  const details = {status, ...(code === undefined ? {} : {code})};
  if (code === 'NoSuchBucket') return new WeirError('InvalidArgument', `the bucket ${bucket} does not exist`, {details});
  if (status === 301 || code === 'PermanentRedirect' || code === 'IllegalLocationConstraintException' || (code === 'AuthorizationHeaderMalformed' && region !== undefined)) {
    const hint = region === undefined ? 'set the options region and endpoint to the bucket\'s own' : `set the option region=${region}`;
    return new WeirError('InvalidArgument', `the bucket ${bucket} lies in another region: ${hint}`, {details});
  }
  if (code === 'RequestTimeTooSkewed') return new WeirError('Unauthenticated', `${what} was refused: the clock of this machine and that of the store differ too much`, {details});
  if (code === 'ExpiredToken') return new WeirError('Unauthenticated', `${what} was refused: the credentials have expired`, {details});
  const kind = (code === undefined ? undefined : kinds[code]) ?? statuses[status] ?? (status >= 500 ? 'Unavailable' : 'InvalidArgument');
  const length = kind === 'RangeNotSatisfiable' ? rangeTotal(header('content-range')) ?? numberIn(root && childText(root, 'ActualObjectSize')) : undefined;
  const reason = [code, said].filter(part => part !== undefined).join(': ');
  return new WeirError(kind, `${what} failed with ${status}${reason === '' ? '' : ` (${reason.slice(0, 500)})`}`, {details: length === undefined ? details : {...details, length}});
}

/** The size after the slash of `bytes 0-9/100` or of `bytes *` + `/100`. */
export function rangeTotal(contentRange: string | undefined): number | undefined {
  return numberIn(/^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(contentRange ?? '')?.[1]);
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function errorElement(body: string): XmlElement | undefined {
  if (!body.includes('<Error')) return undefined;
  try {
    const root = parseXml(body);
    return root.name === 'Error' ? root : undefined;
  } catch {
    return undefined;
  }
}
