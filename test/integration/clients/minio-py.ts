import type {Client} from './client.ts';
import {dotParts, notDeletedTogether} from './names.ts';
import {pythonSession} from './python.ts';

const program = `
from minio import Minio
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject
s3 = Minio(E.split('//')[1], access_key=K, secret_key=S, secure=False, region='us-east-1')
def put(key, file): s3.fput_object(BUCKET, key, file)
def get(bucket, key, file): s3.fget_object(bucket, key, file)
def list(bucket): return [o.object_name for o in s3.list_objects(bucket, recursive=True)]
def put_large(key, file): s3.fput_object(BUCKET, key, file, part_size=8 << 20)
def copy(source, to): s3.copy_object(BUCKET, to, CopySource(BUCKET, source))
def presign_get(key): return s3.presigned_get_object(BUCKET, key)
def presign_put(key): return s3.presigned_put_object(BUCKET, key)
def remove(key): s3.remove_object(BUCKET, key)
def remove_many(*keys):
    errors = [*s3.remove_objects(BUCKET, [DeleteObject(k) for k in keys])]
    assert not errors, errors
`;

export const minioPy: Client = {
  name: 'minio-py',
  version: '7.2.20',
  cannot: [
    {names: dotParts, why: 'raises ValueError: object name with \'.\' or \'..\' path segment is not supported'},
    notDeletedTogether,
    {names: ['carriage return'], doing: ['removeMany'], why: 'writes the carriage return into the XML as it is, where it is a line feed'},
  ],
  start: access => pythonSession(access, program, 'more-clients'),
};
