/**
 * Versions of a key, as S3 has them: while a bucket keeps versions every new object is one, and an old one stays beside it
 * until it is deleted by its id. What was made while the bucket kept none is the *null* version, of which a key has at most one.
 */
import type {Inode} from '#model/inode.ts';

/** `suspended`: versions that exist stay; what is made now is the null version. */
export type VersioningStatus = 'off' | 'enabled' | 'suspended';

export const nullVersionId = 'null';

/** Long enough that ids of any number look alike. */
const digits = 11;
const pattern = /^w[0-9a-z]{11}$/;

/** What clients call a version number; `null` for none. */
export function formatVersionId(version: number | undefined): string {
  return version === undefined ? nullVersionId : `w${version.toString(36).padStart(digits, '0')}`;
}

/** The number of a version id, `null` for the null version, undefined for what never was one. */
export function parseVersionId(id: string): number | null | undefined {
  if (id === nullVersionId) return null;
  const number = pattern.test(id) ? parseInt(id.slice(1), 36) : NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}

/** Whether it may have been given out by somebody: here, by S3 (32 characters and more), or by a server whose ids are ULIDs. */
export function isVersionId(id: string): boolean {
  return parseVersionId(id) !== undefined || /^([0-9A-Z]{26}|[A-Za-z0-9._-]{32,1024})$/.test(id);
}

export function versionIdOf(inode: Pick<Inode, 'version'>): string {
  return formatVersionId(inode.version);
}
