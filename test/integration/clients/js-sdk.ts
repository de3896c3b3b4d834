import {createReadStream} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import {CopyObjectCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, paginateListObjectsV2, PutObjectCommand, S3Client} from '@aws-sdk/client-s3';
import {Upload} from '@aws-sdk/lib-storage';
import {getSignedUrl} from '@aws-sdk/s3-request-presigner';
import type {Client} from './client.ts';
import {notDeletedTogether} from './names.ts';

export const jsSdk: Client = {
  name: 'js-sdk',
  version: '3.1169.0',
  cannot: [notDeletedTogether],
  start: ({endpoint, accessKeyId, secretAccessKey, bucket: Bucket}) => {
    const s3 = new S3Client({endpoint, region: 'us-east-1', forcePathStyle: true, credentials: {accessKeyId, secretAccessKey}});
    return Promise.resolve({
      put: async (Key, file) => await s3.send(new PutObjectCommand({Bucket, Key, Body: await readFile(file), Metadata: {'made-by': 'js'}})),
      get: async (bucket, Key, file) => await writeFile(file, await (await s3.send(new GetObjectCommand({Bucket: bucket, Key}))).Body!.transformToByteArray()),
      list: async bucket => {
        const keys: string[] = [];
        // Of what encoding-type=url brings the SDK decodes nothing by itself.
        for await (const page of paginateListObjectsV2({client: s3, pageSize: 8}, {Bucket: bucket, EncodingType: 'url'})) {
          keys.push(...(page.Contents ?? []).map(({Key}) => decodeURIComponent(Key!.replaceAll('+', ' '))));
        }
        return keys;
      },
      putLarge: async (Key, file) => await new Upload({client: s3, params: {Bucket, Key, Body: createReadStream(file)}, partSize: 8 << 20}).done(),
      copy: async (from, to) => await s3.send(new CopyObjectCommand({Bucket, Key: to, CopySource: `${Bucket}/${encodeURIComponent(from)}`})),
      presignGet: async Key => await getSignedUrl(s3, new GetObjectCommand({Bucket, Key})),
      presignPut: async Key => await getSignedUrl(s3, new PutObjectCommand({Bucket, Key})),
      remove: async Key => await s3.send(new DeleteObjectCommand({Bucket, Key})),
      removeMany: async keys => {
        const {Errors = []} = await s3.send(new DeleteObjectsCommand({Bucket, Delete: {Objects: keys.map(Key => ({Key}))}}));
        if (Errors.length > 0) throw new Error(JSON.stringify(Errors));
      },
      [Symbol.asyncDispose]: () => Promise.resolve(s3.destroy()),
    });
  },
};
