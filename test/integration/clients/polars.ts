import type {Client} from './client.ts';
import {dotParts, emptyParts, markers} from './names.ts';
import {pythonSession} from './python.ts';

/** Polars writes tables: a line of text is a row of a CSV file without quotes. */
const program = `
os.environ['POLARS_UPLOAD_CHUNK_SIZE'] = str(8 << 20)
import polars as pl
storage = {'aws_endpoint_url': E, 'aws_access_key_id': K, 'aws_secret_access_key': S, 'aws_region': 'us-east-1', 'aws_allow_http': 'true'}
def uri(key, bucket=BUCKET): return 's3://%s/%s' % (bucket, key)
def put(key, file):
    with open(file) as f: lines = f.read().splitlines()
    pl.LazyFrame({'line': lines}).sink_csv(uri(key), include_header=False, quote_style='never', storage_options=storage)
put_large = put
def get(bucket, key, file):
    t = pl.scan_csv(uri(key, bucket), has_header=False, schema={'line': pl.String}, quote_char=None, separator='\\x02', glob=False, storage_options=storage).collect()
    with open(file, 'w') as f: f.writelines(l + '\\n' for l in t['line'])
def list(bucket):
    t = pl.scan_csv(uri('**/*', bucket), has_header=False, include_file_paths='path', schema={'line': pl.String}, quote_char=None, separator='\\x02', storage_options=storage).collect()
    return [p[len('s3:///') + len(bucket):] for p in t['path'].unique()]
`;

export const polars: Client = {
  name: 'polars',
  version: '2.1.0',
  cannot: [
    {names: [...markers, ...emptyParts], why: 'says "contained empty path segment", and takes one slash away from both ends'},
    {names: dotParts, why: 'says "Encountered illegal character sequence"'},
    {names: ['tab and line feed', 'carriage return', 'control characters'], why: 'says "Encountered illegal character sequence"'},
  ],
  start: access => pythonSession(access, program, 'more-clients'),
};
