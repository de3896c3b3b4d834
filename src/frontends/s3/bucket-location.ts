/**
 * Where a bucket says that it is. There is one place; the region that a bucket was made for is kept and said again, because clients
 * compare it with their own. Signatures of any region are taken.
 */
import type {FileInfo} from '#contracts/file-info.ts';
import type {S3Request} from '#frontends/s3/request.ts';

/** Where no constraint was given. */
export const defaultRegion = 'us-east-1';

export const locationSetting = 'location';

/** The constraint that the bucket was made with; undefined in the default region. */
export async function locationOf({files, context}: S3Request, {path, inode}: FileInfo): Promise<string | undefined> {
  return inode.settings === undefined ? undefined : (await files.getSettings(path, context)).settings[locationSetting];
}

/** `EU` is the old name of one region. */
export async function regionOf(request: S3Request, bucket: FileInfo): Promise<string> {
  const location = await locationOf(request, bucket);
  return location === 'EU' ? 'eu-west-1' : (location ?? defaultRegion);
}
