/**
 * `multipart/form-data` (RFC 7578) as browsers send it to S3: small fields, then one file, whose bytes pass through; what follows the
 * file is ignored. Takes the body in pieces split anywhere; memory is bounded by the fields.
 */
import {S3Error} from '#codec/s3/s3-error.ts';

/** Of all fields before the file. "Browser-based uploads", S3 API reference. */
export const fieldBytesMax = 20 * 1024;
const partHeadBytesMax = 4 * 1024;
/** RFC 2046, 5.1.1. */
const boundaryForm = /^[0-9A-Za-z'()+_,./:=? -]{1,70}$/;

export type FormEvent =
  | {readonly field: string; readonly value: Buffer}
  | {readonly file: string}
  /** Bytes of the file, a view that holds until the next push. */
  | {readonly data: Buffer}
  | {readonly end: true};

const malformed = () => new S3Error('MalformedPOSTRequest', 'The body of your POST request is not well-formed multipart/form-data.');

/** The boundary of a Content-Type header. PreconditionFailed for another type, MalformedPOSTRequest. */
export function boundaryOf(contentType: string | undefined): string {
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType ?? '')) {
    throw new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.', {Condition: 'Bucket POST must be of the enclosure-type multipart/form-data'});
  }
  const match = /;\s*boundary=(?:"([^"]*)"|([^;\s]*))/i.exec(contentType!);
  const boundary = match?.[1] ?? match?.[2] ?? '';
  if (!boundaryForm.test(boundary)) throw malformed();
  return boundary;
}

type State = 'preamble' | 'delimited' | 'head' | 'field' | 'file' | 'over';

export class FormDecoder {
  readonly #delimiter: Buffer;
  #state: State = 'preamble';
  /** What could not be decided yet. As if a line ended before the body, so that the first delimiter is like every other. */
  #rest: Buffer = Buffer.from('\r\n');
  #name = '';
  #fieldBytes = 0;

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  }

  /** To be exhausted before the next push. MalformedPOSTRequest, MaxPostPreDataLengthExceeded. */
  *push(chunk: Uint8Array): Generator<FormEvent> {
    if (this.#state === 'over') return;
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([this.#rest, chunk]);
    for (let more = true; more; ) {
      switch (this.#state) {
        case 'preamble':
          more = this.#skip();
          break;
        case 'delimited':
          more = this.#delimited();
          break;
        case 'head': {
          const file = this.#head();
          more = file !== undefined;
          if (file) yield {file: file.name};
          break;
        }
        case 'field': {
          const at = this.#rest.indexOf(this.#delimiter);
          this.#limit(at < 0 ? this.#rest.length : at);
          more = at >= 0;
          if (at < 0) break;
          this.#fieldBytes += at;
          yield {field: this.#name, value: Buffer.from(this.#rest.subarray(0, at))};
          this.#advance(at + this.#delimiter.length, 'delimited');
          break;
        }
        case 'file': {
          const at = this.#rest.indexOf(this.#delimiter);
          // The last bytes may be the beginning of a delimiter.
          const sure = at < 0 ? Math.max(0, this.#rest.length - this.#delimiter.length + 1) : at;
          if (sure > 0) yield {data: this.#rest.subarray(0, sure)};
          this.#rest = Buffer.from(this.#rest.subarray(sure));
          more = false;
          if (at >= 0) {
            this.#advance(0, 'over');
            yield {end: true};
          }
          break;
        }
      }
    }
  }

  /** To be called at the end of the body. */
  finish(): void {
    if (this.#state !== 'over') throw malformed();
  }

  #advance(bytes: number, state: State): void {
    this.#rest = state === 'over' ? Buffer.alloc(0) : this.#rest.subarray(bytes);
    this.#state = state;
  }

  #limit(bytes: number): void {
    if (this.#fieldBytes + bytes > fieldBytesMax) {
      throw new S3Error('MaxPostPreDataLengthExceeded', 'Your POST request fields preceding the upload file were too large.', {MaxPostPreDataLengthBytes: String(fieldBytesMax)});
    }
  }

  #skip(): boolean {
    const at = this.#rest.indexOf(this.#delimiter);
    if (at < 0) {
      if (this.#rest.length > partHeadBytesMax) throw malformed();
      return false;
    }
    this.#advance(at + this.#delimiter.length, 'delimited');
    return true;
  }

  /** Behind a delimiter: another part, or `--` for none. */
  #delimited(): boolean {
    if (this.#rest.length < 2) return false;
    const mark = this.#rest.toString('latin1', 0, 2);
    // The form ended without a file.
    if (mark === '--') throw new S3Error('InvalidArgument', 'POST requires exactly one file upload per request.', {ArgumentName: 'file', ArgumentValue: '0'});
    if (mark !== '\r\n') throw malformed();
    this.#advance(2, 'head');
    return true;
  }

  /** Undefined: it is not whole yet. An empty object: a field; otherwise the file with its name. */
  #head(): {readonly name: string} | undefined | false {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#rest.length > partHeadBytesMax) throw malformed();
      return undefined;
    }
    const head = this.#rest.toString('utf8', 0, end);
    this.#fieldBytes += end;
    this.#limit(0);
    const disposition = head.split('\r\n').find((line) => /^content-disposition\s*:/i.test(line)) ?? '';
    const name = parameterOf(disposition, 'name');
    if (name === undefined || !/:\s*form-data\s*;/i.test(disposition)) throw malformed();
    const filename = parameterOf(disposition, 'filename');
    this.#name = name;
    const isFile = name.toLowerCase() === 'file';
    this.#advance(end + 4, isFile ? 'file' : 'field');
    // An empty value: its line end is the delimiter's.
    return isFile ? {name: filename ?? ''} : false;
  }
}

function parameterOf(disposition: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s]*))`, 'i').exec(disposition);
  if (!match) return undefined;
  return match[1] === undefined ? match[2] : match[1].replace(/\\(["\\])/g, '$1').replaceAll('%22', '"');
}
