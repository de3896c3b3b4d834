import type {Client} from './client.ts';
import {dotParts, emptyParts, markers} from './names.ts';
import {pythonSession} from './python.ts';

const program = `
from pyarrow.fs import S3FileSystem, FileSelector, FileType
fs = S3FileSystem(access_key=K, secret_key=S, endpoint_override=E, region='us-east-1', request_timeout=60, connect_timeout=60) # 3 s by itself
def put(key, file):
    with open(file, 'rb') as f, fs.open_output_stream(BUCKET + '/' + key) as o: o.write(f.read())
put_large = put
def get(bucket, key, file):
    with open(file, 'wb') as f, fs.open_input_stream(bucket + '/' + key) as i: f.write(i.read())
def list(bucket): return [f.path[len(bucket) + 1:] for f in fs.get_file_info(FileSelector(bucket, recursive=True)) if f.type == FileType.File]
def copy(source, to): fs.copy_file(BUCKET + '/' + source, BUCKET + '/' + to)
def remove(key): fs.delete_file(BUCKET + '/' + key)
`;

export const pyarrow: Client = {
  name: 'pyarrow',
  version: '26.0.1',
  cannot: [
    {names: markers, why: 'says "Not a regular file": a path that ends in a slash is a directory'},
    {names: emptyParts, why: 'says "Empty path component in path"'},
    {names: dotParts, why: 'signs the path as it is, and its HTTP library sends another, without the dots'},
  ],
  start: access => pythonSession(access, program, 'clients'),
};
