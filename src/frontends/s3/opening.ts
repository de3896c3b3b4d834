/** Objects under keys of clients (SSE-C) on their way out: the right key is asked for, and the bytes are opened. On their way in: sealing.ts. */
import {WeirError} from '#base/errors.ts';
import type {CustomerKey} from '#codec/s3/customer-key.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {decodeSeal, keyOfPart, openSeal} from '#codec/s3/seal.ts';
import {openedBytes, type SealedPieces} from '#codec/s3/sealed-bytes.ts';
import {discard} from '#client/opened-file.ts';
import {bodyChunks} from '#contracts/body-chunks.ts';
import type {FileInfo} from '#contracts/file-info.ts';
import type {Body} from '#contracts/worker-api.ts';
import {layoutOf} from '#frontends/s3/object-parts.ts';
import type {S3Request} from '#frontends/s3/request.ts';
import {anotherKey} from '#frontends/s3/sealing.ts';
import {isSealed, sealEntry} from '#model/seal.ts';

export const isSealedFile = ({inode: {content}}: FileInfo): boolean => content !== undefined && isSealed(content);

/** An object's bytes can be read: those of a plain one as they are, those of a sealed one by this. */
export type Opener = (range: {readonly offset: number}, body: Body) => Body | Promise<Body>;

/** Bytes that are opened before the answer begins, and leave with its head in one write. */
const smallBytesMax = 64 * 1024;

const asIs: Opener = (_, body) => body;

/**
 * Whether the key is the one for this object. InvalidRequest: it is another, there is none, or the object needs none.
 * What comes out reads the object.
 */
export function checkKey({inode}: FileInfo, key: CustomerKey | undefined): Uint8Array | undefined {
  const kept = inode.content?.metadata[sealEntry];
  if (kept === undefined) {
    if (key) throw new S3Error('InvalidRequest', 'The encryption parameters are not applicable to this object.');
    return undefined;
  }
  if (!key) throw new S3Error('InvalidRequest', 'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.');
  const contentKey = openSeal(key.bytes, decodeSeal(kept));
  if (!contentKey) throw anotherKey();
  return contentKey;
}

/** As checkKey. Corrupt where the records of the object's parts, and with them their salts, are lost. */
export async function openerOf(request: S3Request, info: FileInfo, key: CustomerKey | undefined): Promise<Opener> {
  const contentKey = checkKey(info, key);
  if (!contentKey) return asIs;
  const pieces = await piecesOf(request, info, key!, contentKey);
  return ({offset}, body) => (body.length <= smallBytesMax ? openedWhole(pieces, offset, body) : openedBody(pieces, offset, body));
}

async function openedWhole(pieces: SealedPieces, position: number, body: Body): Promise<Body> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of openedBytes(pieces, position, bodyChunks(body))) chunks.push(chunk);
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  return {kind: 'bytes', length: bytes.length, bytes};
}

/** What is not read after all is let go as the body itself would be. */
export function openedBody(pieces: SealedPieces, position: number, body: Body): Body {
  const begin = (): AsyncIterator<Uint8Array> => {
    const bytes = openedBytes(pieces, position, bodyChunks(body));
    let begun = false;
    return {
      next: () => {
        begun = true;
        return bytes.next();
      },
      return: () => {
        if (!begun) discard(body);
        return bytes.return(undefined);
      },
    };
  };
  return {kind: 'stream', length: body.length, stream: {[Symbol.asyncIterator]: begin}};
}

const nothingKnown: Pick<Awaited<ReturnType<typeof layoutOf>>, 'offsets' | 'salts'> = {offsets: [], salts: []};

async function piecesOf(request: S3Request, info: FileInfo, key: CustomerKey, contentKey: Uint8Array): Promise<SealedPieces> {
  const {metadata, upload, length} = info.inode.content!;
  if (decodeSeal(metadata[sealEntry]!).form === 'whole') return {offsets: [0, length], keyOf: () => contentKey};
  const {offsets, salts} = upload ? await layoutOf(request, info, upload.id) : nothingKnown;
  if (offsets.at(-1) !== length || salts.length !== offsets.length - 1 || salts.includes(undefined)) throw new WeirError('Corrupt', 'what is needed to open the parts of this object is not known here any more');
  return {offsets, keyOf: (piece) => keyOfPart(key.bytes, salts[piece]!)};
}
