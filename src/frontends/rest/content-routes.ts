/** /api/v1/content: bytes of files, with ranges; new files, whole or not at all. */
import {infoJson} from '#codec/rest/values.ts';
import {parseRange} from '#codec/s3/range.ts';
import {isKind, WeirError} from '#base/errors.ts';
import {pathParameter, type Route, type RouteCall} from '#frontends/rest/route.ts';
import {fileSchema} from '#frontends/rest/schemas.ts';

function path(call: RouteCall) {
  const value = call.query.get('path');
  if (value === undefined) throw new WeirError('InvalidArgument', 'the query has no path');
  return value;
}

async function answerBytes(call: RouteCall): Promise<void> {
  const range = parseRange(call.exchange.header('range'));
  // With what will be read: what is replaced in this very moment is read as it is then.
  await using file = await call.files.open(path(call), {kind: 'either', range: range ?? {offset: 0}}, call.context);
  const {length, inode} = file.info;
  const {content} = inode;
  const headers = ['Content-Type', content?.metadata['content-type'] ?? 'application/octet-stream', 'Accept-Ranges', 'bytes', ...(content ? ['ETag', `"${content.etag}"`] : [])];
  try {
    const wanted = file.resolve(range);
    const body = wanted.length === 0 ? undefined : await file.read(wanted, call.context);
    const partial = range ? ['Content-Range', `bytes ${wanted.offset}-${wanted.offset + wanted.length - 1}/${length}`] : [];
    await call.exchange.respond(range ? 206 : 200, [...headers, ...partial], body);
  } catch (error) {
    if (!isKind(error, 'RangeNotSatisfiable')) throw error;
    await call.exchange.respond(416, ['Content-Range', `bytes */${length}`]);
  }
}

async function takeBytes(call: RouteCall): Promise<unknown> {
  const announced = call.exchange.header('content-length');
  const length = announced === undefined ? undefined : Number(announced);
  const type = call.exchange.header('content-type');
  const writer = await call.files.create(
    path(call),
    {kind: 'file', parents: 'explicit', metadata: type === undefined ? {} : {'content-type': type}, ...(length === undefined ? {} : {length})},
    call.context,
  );
  try {
    for await (const chunk of call.exchange.body) await writer.write(chunk);
    return infoJson(await writer.commit(length === undefined ? {} : {length}));
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

export const contentRoutes: readonly Route[] = [
  {method: 'GET', path: '/api/v1/content', summary: 'the bytes of a file; Range is honoured', parameters: [pathParameter], result: 'bytes', answer: answerBytes},
  {method: 'PUT', path: '/api/v1/content', summary: 'write a file, replacing what is there; seen whole or not at all', parameters: [pathParameter], takesBytes: true, result: fileSchema, answer: takeBytes},
];
