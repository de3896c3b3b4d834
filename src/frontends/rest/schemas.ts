/** What REST answers look like. */
import * as v from 'valibot';

const count = () => v.pipe(v.number(), v.integer(), v.minValue(0));
const names = () => v.record(v.string(), v.string());

export const fileSchema = v.object({
  path: v.string(),
  pathBase64: v.optional(v.string()),
  kind: v.picklist(['file', 'directory', 'symlink', 'special']),
  id: count(),
  length: count(),
  mode: v.pipe(v.string(), v.regex(/^[0-7]{4}$/)),
  uid: count(),
  gid: count(),
  mtime: v.string(),
  ctime: v.string(),
  etag: v.optional(v.string()),
  contentId: v.optional(count()),
  metadata: v.optional(names()),
  encryption: v.optional(v.literal('SSE-C')),
  checksums: v.optional(names()),
  persist: v.optional(v.picklist(['pending', 'conflict'])),
  target: v.optional(v.string()),
  pinned: v.optional(v.boolean()),
  xattrs: v.optional(names()),
});

export const listSchema = v.object({
  entries: v.array(v.object({key: v.string(), file: v.optional(fileSchema), folded: v.optional(v.boolean())})),
  next: v.optional(v.string()),
});

export const mountSchema = v.object({
  path: v.string(),
  pathBase64: v.optional(v.string()),
  uri: v.string(),
  readOnly: v.boolean(),
  freshness: v.string(),
  writeType: v.string(),
  options: names(),
});

export const jobSchema = v.object({
  id: count(),
  kind: v.string(),
  path: v.string(),
  pathBase64: v.optional(v.string()),
  state: v.picklist(['running', 'waiting', 'failed']),
  done: count(),
  startedAt: v.number(),
  lastError: v.optional(v.string()),
});

export const persistSchema = v.object({
  path: v.string(),
  pathBase64: v.optional(v.string()),
  inode: count(),
  length: count(),
  state: v.picklist(['waiting', 'uploading', 'conflict']),
  since: v.number(),
  failures: count(),
  lastError: v.optional(v.string()),
  nextAttemptAt: v.optional(v.number()),
  uploadedBytes: count(),
});

export const tierSchema = v.object({
  name: v.string(),
  directory: v.string(),
  quotaBytes: count(),
  usedBytes: count(),
  state: v.picklist(['ok', 'full', 'failed']),
});

export const statusSchema = v.object({
  tiers: v.array(tierSchema),
  contents: count(),
  hitBytes: count(),
  missBytes: count(),
  upstreamRequests: count(),
  upstreamBytes: count(),
});

export const usageSchema = v.object({files: count(), directories: count(), bytes: count()});

const runs = v.array(v.tuple([count(), count()]));

export const explanationSchema = v.object({
  ...fileSchema.entries,
  store: v.object({uri: v.string(), key: v.string()}),
  fresh: v.boolean(),
  checkedAt: v.number(),
  validUntil: v.union([v.number(), v.picklist(['forever', 'never'])]),
  reason: v.string(),
  metadataRequests: count(),
  cache: v.optional(
    v.object({
      tiers: v.array(v.object({name: v.string(), bytes: count(), pages: runs})),
      pageBytes: count(),
      pinned: v.boolean(),
      upstreamRequests: count(),
      upstreamBytes: count(),
      servedBytes: count(),
      inPlace: v.boolean(),
    }),
  ),
});

export const errorSchema = v.object({error: v.object({code: v.string(), message: v.string(), details: v.optional(v.record(v.string(), v.union([v.string(), v.number()])))})});
