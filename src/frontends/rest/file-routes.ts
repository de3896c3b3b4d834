/** /api/v1/files, list, directories, rename, copy: names and attributes. */
import * as v from 'valibot';
import {fromText, toText} from '#base/byte-string.ts';
import {infoJson, pathJson} from '#codec/rest/values.ts';
import {WeirError} from '#base/errors.ts';
import {pathParameter, type Route, type RouteCall} from '#frontends/rest/route.ts';
import {fileSchema, listSchema, usageSchema} from '#frontends/rest/schemas.ts';
import {type AttributePatch, s3XattrPrefix} from '#model/inode.ts';

const listLimitMax = 10_000;
const pathText = v.pipe(v.string(), v.startsWith('/'), v.maxLength(10_000));

function path(call: RouteCall) {
  const value = call.query.get('path');
  if (value === undefined) throw new WeirError('InvalidArgument', 'the query has no path');
  return value;
}

function flag(call: RouteCall, name: string): boolean {
  const value = call.query.get(name);
  return value !== undefined && value !== 'false' && value !== '0';
}

function limit(call: RouteCall): number {
  const text = call.query.get('limit') ?? '1000';
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > listLimitMax) throw new WeirError('InvalidArgument', `limit is a number from 1 to ${listLimitMax}`);
  return value;
}

const attributesBody = v.strictObject({
  mode: v.optional(v.pipe(v.string(), v.regex(/^[0-7]{1,4}$/, 'octal, for example 0644'))),
  uid: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff))),
  gid: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff))),
  mtime: v.optional(v.pipe(v.string(), v.isoTimestamp())),
  xattrs: v.optional(v.record(v.pipe(v.string(), v.check((name) => !name.startsWith(s3XattrPrefix), 'it belongs to the S3 front end')), v.nullable(v.pipe(v.string(), v.base64())))),
});

const makeBody = v.strictObject({path: pathText, parents: v.optional(v.boolean()), existing: v.optional(v.picklist(['fail', 'keep'])), mode: v.optional(v.string())});
const moveBody = v.strictObject({from: pathText, to: pathText, replace: v.optional(v.boolean())});
const copyBody = v.strictObject({from: pathText, to: pathText});
const linkBody = v.strictObject({path: pathText, target: v.pipe(v.string(), v.minLength(1))});

export const fileRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/v1/files',
    summary: 'everything that is known of a file or directory',
    parameters: [pathParameter],
    result: fileSchema,
    answer: async (call) => infoJson(await call.files.stat(path(call), {}, call.context)),
  },
  {
    method: 'PATCH',
    path: '/api/v1/files',
    summary: 'set attributes; those that are not named stay',
    parameters: [pathParameter],
    body: attributesBody,
    result: fileSchema,
    answer: async (call) => {
      const {mode, uid, gid, mtime, xattrs} = call.body as v.InferOutput<typeof attributesBody>;
      const patch: AttributePatch = {
        ...(mode === undefined ? {} : {mode: Number.parseInt(mode, 8)}),
        ...(uid === undefined ? {} : {uid}),
        ...(gid === undefined ? {} : {gid}),
        ...(mtime === undefined ? {} : {mtime: BigInt(Date.parse(mtime)) * 1_000_000n}),
        ...(xattrs ? {xattrs: Object.fromEntries(Object.entries(xattrs).map(([name, value]) => [name, value === null ? null : Buffer.from(value, 'base64')]))} : {}),
      };
      return infoJson(await call.files.setAttributes(path(call), patch, {}, call.context));
    },
  },
  {
    method: 'DELETE',
    path: '/api/v1/files',
    summary: 'remove a file or directory, also in the store behind',
    parameters: [pathParameter, {name: 'recursive', description: 'with everything below', type: 'boolean'}],
    result: 'nothing',
    answer: (call) => call.files.remove(path(call), {recursive: flag(call, 'recursive')}, call.context),
  },
  {
    method: 'GET',
    path: '/api/v1/list',
    summary: 'a page of a directory, in byte order of keys',
    parameters: [
      pathParameter,
      {name: 'recursive', description: 'everything below, not only the children', type: 'boolean'},
      {name: 'prefix', description: 'only keys that start with this'},
      {name: 'after', description: 'only keys after this one: `next` of the page before'},
      {name: 'limit', description: `entries a page, at most ${listLimitMax} (default 1000)`, type: 'integer'},
    ],
    result: listSchema,
    answer: async (call) => {
      const prefix = call.query.get('prefix');
      const after = call.query.get('after');
      const page = await call.files.list(
        {
          directory: path(call),
          view: flag(call, 'recursive') ? 'tree' : 'children',
          limit: limit(call),
          ...(prefix === undefined ? {} : {prefix}),
          ...(after === undefined ? {} : {after}),
        },
        call.context,
      );
      const entries = page.entries.map((entry) => ({key: toText(entry.key), ...('info' in entry ? {file: infoJson(entry.info)} : {folded: true})}));
      return {entries, ...(page.next === undefined ? {} : {next: toText(page.next)})};
    },
  },
  {
    method: 'GET',
    path: '/api/v1/usage',
    summary: 'files, directories and bytes below a directory (of mounts and the root: as far as they are known)',
    parameters: [pathParameter],
    result: usageSchema,
    answer: (call) => call.files.usage(path(call), call.context),
  },
  {
    method: 'POST',
    path: '/api/v1/directories',
    summary: 'make a directory; at the root: a bucket',
    body: makeBody,
    result: fileSchema,
    answer: async (call) => {
      const {path: text, parents, existing, mode} = call.body as v.InferOutput<typeof makeBody>;
      const options = {...(parents === undefined ? {} : {parents}), ...(existing ? {existing} : {}), ...(mode === undefined ? {} : {mode: Number.parseInt(mode, 8)})};
      return infoJson(await call.files.makeDirectory(fromText(text), options, call.context));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/symlinks',
    summary: 'make a symbolic link',
    body: linkBody,
    result: fileSchema,
    answer: async (call) => {
      const {path: text, target} = call.body as v.InferOutput<typeof linkBody>;
      return infoJson(await call.files.makeSymlink(fromText(text), fromText(target), call.context));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/rename',
    summary: 'rename a file or a whole directory, within one mount',
    body: moveBody,
    result: fileSchema,
    answer: async (call) => {
      const {from, to, replace} = call.body as v.InferOutput<typeof moveBody>;
      return infoJson(await call.files.rename(fromText(from), fromText(to), {replace: replace === true}, call.context));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/copy',
    summary: 'copy a file',
    body: copyBody,
    result: fileSchema,
    answer: async (call) => {
      const {from, to} = call.body as v.InferOutput<typeof copyBody>;
      return infoJson(await call.files.copy(fromText(from), fromText(to), {kind: 'file'}, call.context));
    },
  },
  {
    method: 'POST',
    path: '/api/v1/refresh',
    summary: 'drop what is believed of a path and below, so that the next use asks the store',
    body: v.strictObject({path: pathText}),
    result: v.object({path: v.string()}),
    answer: async (call) => {
      const target = fromText((call.body as {path: string}).path);
      await call.files.refresh(target, call.context);
      return pathJson(target);
    },
  },
];
