/**
 * Heads of answers as bytes. A server says much the same in one answer as in the next: the same names, and values that are as long as the last ones,
 * most of them the same. So the last head of its kind is kept, what differs is written over, and the whole is copied: to put a text together
 * and to encode it costs three times as much, and a kilobyte for the collector.
 */
import {formatResponseHead, isSendable, type ResponseFraming, statusLine} from '#codec/http/response-head.ts';

/** A longer head is not kept. */
const headBytesMax = 2048;
/** Kinds: one for each status and number of headers. Then all are forgotten. */
const kindsMax = 64;
/** Names and values of a head that is kept. */
const textsMax = 256;

interface Template {
  readonly bytes: Buffer;
  readonly names: readonly string[];
  readonly values: string[];
  /** Where each value begins. */
  readonly places: readonly number[];
  readonly lengthAt: number;
  readonly dateAt: number;
  readonly connection: string;
  length: number;
  date: string;
}

export class HeadTemplates {
  readonly #kinds = new Map<number, Template>();

  /**
   * What formatResponseHead would give, at the beginning of `into`: so many bytes; -1 and nothing when there is no room. `framing` has a length and no chunks.
   * Throws as formatResponseHead does.
   */
  write(into: Buffer, status: number, headers: readonly string[], framing: ResponseFraming): number {
    const kind = headers.length < textsMax ? status * textsMax + headers.length : -1;
    const known = this.#kinds.get(kind);
    if (known && known.bytes.length <= into.length && follow(known, headers, framing)) {
      into.set(known.bytes);
      return known.bytes.length;
    }
    const text = formatResponseHead(status, headers, framing);
    if (text.length > into.length) return -1;
    into.write(text, 0, text.length, 'latin1');
    if (text.length <= headBytesMax && kind >= 0) this.#keep(kind, status, headers, framing, text);
    return text.length;
  }

  #keep(kind: number, status: number, headers: readonly string[], framing: ResponseFraming, text: string): void {
    const names: string[] = [];
    const values: string[] = [];
    const places: number[] = [];
    let at = statusLine(status).length;
    for (let i = 0; i < headers.length; i += 2) {
      names.push(headers[i]!);
      values.push(headers[i + 1]!);
      places.push((at += headers[i]!.length + 2));
      at += headers[i + 1]!.length + 2;
    }
    const {length = 0, date, connection} = framing;
    const lengthAt = at + 'Content-Length: '.length;
    const dateAt = lengthAt + String(length).length + 2;
    // Headers that say their own length or date leave out the server's.
    if (dateAt + date.length + connection.length + 2 !== text.length) return;
    if (this.#kinds.size >= kindsMax) this.#kinds.clear();
    const bytes = Buffer.allocUnsafeSlow(text.length);
    bytes.write(text, 'latin1');
    this.#kinds.set(kind, {bytes, names, values, places, lengthAt, dateAt, connection, length, date});
  }
}

/** Makes the kept head this one; false when it differs in more than values of the same length. What was changed by then is whole. */
function follow(known: Template, headers: readonly string[], {length = 0, date, connection}: ResponseFraming): boolean {
  const {bytes, names, values, places} = known;
  if (connection !== known.connection || date.length !== known.date.length) return false;
  for (let i = 0; i < names.length; i++) {
    const value = headers[2 * i + 1]!;
    if (headers[2 * i] !== names[i]) return false;
    const last = values[i]!;
    if (value === last) continue;
    if (value.length !== last.length || !isSendable(value)) return false;
    values[i] = value;
    put(bytes, places[i]!, value);
  }
  if (length !== known.length) {
    const digits = String(length);
    if (digits.length !== String(known.length).length) return false;
    known.length = length;
    put(bytes, known.lengthAt, digits);
  }
  if (date !== known.date) {
    known.date = date;
    put(bytes, known.dateAt, date);
  }
  return true;
}

/** Values are short: a call of the encoder costs more. */
function put(bytes: Buffer, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}
