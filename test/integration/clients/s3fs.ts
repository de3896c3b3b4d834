import type {Client} from './client.ts';
import {markers, notDeletedTogether} from './names.ts';
import {pythonSession} from './python.ts';

const program = `
import s3fs
fs = s3fs.S3FileSystem(endpoint_url=E, key=K, secret=S, default_block_size=8 << 20, use_listings_cache=False)
def path(key, bucket=BUCKET): return bucket + '/' + key
def put(key, file):
    with open(file, 'rb') as f: fs.pipe_file(path(key), f.read())
def get(bucket, key, file):
    with open(file, 'wb') as f: f.write(fs.cat_file(path(key, bucket)))
def list(bucket): return [k[len(bucket) + 1:] for k in fs.find(bucket, withdirs=False)]
def put_large(key, file):
    with open(file, 'rb') as f, fs.open(path(key), 'wb') as o:
        while chunk := f.read(1 << 20): o.write(chunk)
def copy(source, to): fs.cp_file(path(source), path(to))
def presign_get(key): return fs.url(path(key))
def presign_put(key): return fs.url(path(key), client_method='put_object')
def remove(key): fs.rm_file(path(key))
def remove_many(*keys): fs.rm([path(k) for k in keys])
`;

export const s3fs: Client = {
  name: 's3fs',
  version: '2026.9.0',
  cannot: [
    {names: ['#?'], why: 'takes what follows ?versionId= for a version'},
    {names: markers, doing: ['copy', 'removeMany'], why: 'takes the slash away from the end of a path'},
    {names: ['globs'], doing: ['removeMany'], why: 'expands patterns, also in the names of a list'},
    notDeletedTogether,
  ],
  start: access => pythonSession(access, program, 'more-clients'),
};
