/** What a store says about an object, in the namespace's words. */
import type {ByteString} from '#base/byte-string.ts';
import type {ContentId, MountId} from '#base/ids.ts';
import type {Operation} from '#master/namespace/operation.ts';
import type {Checksums, Content, ContentMetadata, TimeNs} from '#model/content.ts';

/** A file or marker as a stat, a listing or a reader saw it. */
export interface SeenObject {
  readonly length: number;
  readonly fingerprint: string;
  readonly etag: string;
  readonly checksums: Checksums;
  readonly modified: TimeNs;
  /** Absent: from a listing, which does not say. */
  readonly metadata?: ContentMetadata | undefined;
  readonly mode?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** A new content for an object that was found in a store. `metadataKept`: the store has metadata, so a listing leaves some to ask for. */
export function contentOf(op: Operation, mount: MountId, storeKey: ByteString, object: SeenObject, metadataKept: boolean): Content {
  const {length, fingerprint, etag, checksums, metadata, modified} = object;
  return {
    id: op.ids.next<ContentId>(), length, mount, storeKey, fingerprint, etag, checksums, metadata: metadata ?? {}, committedAt: modified,
    ...(metadata === undefined && metadataKept ? {listed: true} : {}),
  };
}

/** True when the object is the version that the content is. */
export function isSameVersion(content: Content, object: SeenObject): boolean {
  return content.fingerprint === object.fingerprint && content.length === object.length;
}

/** The same version, with what only a direct question brings; undefined when nothing is new. */
export function completed(content: Content, object: SeenObject): Content | undefined {
  if (!content.listed || object.metadata === undefined) return undefined;
  const {listed: _, ...known} = content;
  return {...known, metadata: object.metadata, checksums: {...known.checksums, ...object.checksums}};
}
