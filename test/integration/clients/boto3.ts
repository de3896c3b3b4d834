import type {Client} from './client.ts';
import {notDeletedTogether} from './names.ts';
import {pythonSession} from './python.ts';

const program = `
import boto3
from boto3.s3.transfer import TransferConfig
s3 = boto3.client('s3')
parts = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=8 << 20)
def put(key, file):
    with open(file, 'rb') as f: s3.put_object(Bucket=BUCKET, Key=key, Body=f, Metadata={'made-by': 'boto3'})
def get(bucket, key, file): s3.download_file(bucket, key, file)
def list(bucket): return [o['Key'] for page in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket, PaginationConfig={'PageSize': 7}) for o in page.get('Contents', [])]
def put_large(key, file): s3.upload_file(file, BUCKET, key, Config=parts)
def copy(source, to): s3.copy({'Bucket': BUCKET, 'Key': source}, BUCKET, to)
def presign_get(key): return s3.generate_presigned_url('get_object', Params={'Bucket': BUCKET, 'Key': key})
def presign_put(key): return s3.generate_presigned_url('put_object', Params={'Bucket': BUCKET, 'Key': key})
def remove(key): s3.delete_object(Bucket=BUCKET, Key=key)
def remove_many(*keys):
    answer = s3.delete_objects(Bucket=BUCKET, Delete={'Objects': [{'Key': k} for k in keys]})
    assert 'Errors' not in answer, answer['Errors']
`;

export const boto3: Client = {name: 'boto3', version: '1.44.5', cannot: [notDeletedTogether], start: access => pythonSession(access, program, 'clients')};
