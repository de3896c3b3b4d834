/** /api/v1/mounts, cache, explain, jobs, status, backup: the instance and what it keeps. */
import * as v from 'valibot';
import {fromText, toText} from '#base/byte-string.ts';
import {WeirError} from '#base/errors.ts';
import type {InodeId} from '#base/ids.ts';
import {explanationJson, jobJson, mountJson, persistJson} from '#codec/rest/values.ts';
import {pathParameter, type Route, type RouteCall} from '#frontends/rest/route.ts';
import {explanationSchema, jobSchema, mountSchema, persistSchema, statusSchema} from '#frontends/rest/schemas.ts';
import {parseFreshness, parseWriteType} from '#model/mount.ts';

const pathText = v.pipe(v.string(), v.startsWith('/'), v.maxLength(10_000));
const mountChange = {
  options: v.optional(v.record(v.string(), v.string())),
  readOnly: v.optional(v.boolean()),
  freshness: v.optional(v.string()),
  writeType: v.optional(v.string()),
};
const mountBody = v.strictObject({path: pathText, uri: v.string(), ...mountChange});
const mountPatch = v.strictObject(mountChange);
const pathsBody = v.strictObject({path: pathText});
const pinBody = v.strictObject({path: pathText, pinned: v.boolean()});

const persistBody = v.strictObject({path: pathText, resolve: v.optional(v.picklist(['overwrite', 'discard']))});
const persistEntriesMax = 1_000;

function path(call: RouteCall) {
  const value = call.query.get('path');
  if (value === undefined) throw new WeirError('InvalidArgument', 'the query has no path');
  return value;
}

function changes(body: v.InferOutput<typeof mountPatch>) {
  const {options, readOnly, freshness, writeType} = body;
  return {
    ...(options ? {options} : {}), ...(readOnly === undefined ? {} : {readOnly}), ...(freshness === undefined ? {} : {freshness: parseFreshness(freshness)}), 
    ...(writeType === undefined ? {} : {writeType: parseWriteType(writeType)}),
  };
}

async function* lines(values: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const value of values) yield Buffer.from(`${JSON.stringify(value)}\n`);
}

export const instanceRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/mounts',
    summary: 'what is mounted where; secrets are masked',
    result: v.array(mountSchema),
    answer: async (call) => (await call.files.listMounts(call.context)).map(mountJson),
  },
  {
    method: 'POST',
    path: '/api/v1/mounts',
    summary: 'mount a store at a directory',
    body: mountBody,
    result: mountSchema,
    answer: async (call) => {
      const body = call.body as v.InferOutput<typeof mountBody>;
      return mountJson(await call.files.mount({path: fromText(body.path), uri: body.uri, options: {}, ...changes(body)}, call.context));
    },
  },
  {
    method: 'PATCH',
    path: '/api/v1/mounts',
    summary: 'change a live mount',
    parameters: [pathParameter],
    body: mountPatch,
    result: mountSchema,
    answer: async (call) => mountJson(await call.files.updateMount(path(call), changes(call.body as v.InferOutput<typeof mountPatch>), call.context)),
  },
  {
    method: 'DELETE',
    path: '/api/v1/mounts',
    summary: 'forget a mount; the store is left as it is',
    parameters: [pathParameter],
    result: 'nothing',
    answer: (call) => call.files.unmount(path(call), call.context),
  },
  {
    method: 'GET',
    path: '/api/v1/explain',
    summary: 'where the bytes of a file are, how fresh, what it cost, why',
    parameters: [pathParameter],
    result: explanationSchema,
    answer: async (call) => {
      const {master, cache} = await call.files.explain(path(call), {}, call.context);
      return explanationJson(master, cache);
    },
  },
  {
    method: 'POST',
    path: '/api/v1/load',
    summary: 'bring a file, or everything below a directory, into the cache; one line of progress after the other',
    body: pathsBody,
    result: 'lines',
    answer: async (call) => {
      const progress = call.files.load(fromText((call.body as {path: string}).path), {}, call.context);
      const steps = (async function* () {
        for await (const step of progress) yield {...step, path: toText(step.path)};
      })();
      await call.exchange.respondStream(200, ['Content-Type', 'application/x-ndjson'], lines(steps));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/free',
    summary: 'drop cached bytes; the store keeps them',
    body: pathsBody,
    result: v.object({files: v.number()}),
    answer: (call) => call.files.free(fromText((call.body as {path: string}).path), {}, call.context),
  },
  {
    method: 'POST',
    path: '/api/v1/pin',
    summary: 'keep files in the cache whatever else comes, or let them go again',
    body: pinBody,
    result: v.object({path: v.string(), pinned: v.boolean()}),
    answer: async (call) => {
      const body = call.body as v.InferOutput<typeof pinBody>;
      await call.files.pin(fromText(body.path), body.pinned, call.context);
      return body;
    },
  },
  {
    method: 'GET',
    path: '/api/v1/persist',
    summary: 'files at or below a path that their store has not got yet',
    parameters: [pathParameter, {name: 'after', description: 'only files with greater ids: next of the page before', required: false, type: 'integer'}],
    result: v.object({entries: v.array(persistSchema), next: v.optional(v.number())}),
    answer: async (call) => {
      const after = call.query.get('after');
      const page = await call.files.listPending({path: path(call), limit: persistEntriesMax, ...(after === undefined ? {} : {after: Number(after) as InodeId})}, call.context);
      return {entries: page.entries.map(persistJson), ...(page.next === undefined ? {} : {next: page.next})};
    },
  },
  {
    method: 'POST',
    path: '/api/v1/persist',
    summary: 'try at once to bring files to their store; with resolve, decide conflicts: overwrite what the store has, or discard what it has not',
    body: persistBody,
    result: v.object({files: v.number()}),
    answer: (call) => {
      const {path: text, resolve} = call.body as v.InferOutput<typeof persistBody>;
      return call.files.persist(fromText(text), resolve ? {resolve} : {}, call.context);
    },
  },
  {
    method: 'GET',
    path: '/api/v1/jobs',
    summary: 'moves and removals that a store is still following',
    result: v.array(jobSchema),
    answer: async (call) => (await call.files.listJobs(call.context)).map(jobJson),
  },
  {
    method: 'DELETE',
    path: '/api/v1/jobs',
    summary: 'stop a job where it stands: then the namespace shows what the store has by now',
    parameters: [{name: 'id', description: 'of the job', required: true, type: 'integer'}],
    result: 'nothing',
    answer: (call) => call.files.cancelJob(Number(call.query.get('id')), call.context),
  },
  {
    method: 'GET',
    path: '/api/v1/status',
    summary: 'the cache: tiers, hits, requests upstream',
    result: statusSchema,
    answer: (call) => call.files.status(call.context),
  },
  {
    method: 'GET',
    path: '/api/v1/backup',
    summary: 'all metadata as of one moment, in the format of weir backup',
    result: 'bytes',
    answer: (call) => call.exchange.respondStream(200, ['Content-Type', 'application/octet-stream'], call.files.backup(call.context)),
  },
];
