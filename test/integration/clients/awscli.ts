import type {Client} from './client.ts';
import {notDeletedTogether} from './names.ts';
import {pythonSession} from './python.ts';

/** The command line's own entry, called with the arguments of a shell: starting Python for each of them would be most of the time. */
const program = `
import contextlib, io, json
from awscli.clidriver import create_clidriver
driver = create_clidriver()
def aws(*args):
    out = io.TextIOWrapper(io.BytesIO(), encoding='utf-8', write_through=True)
    with contextlib.redirect_stdout(out): code = driver.main([str(a) for a in args])
    assert code == 0, 'aws %s: exit %s' % (' '.join(args), code)
    return out.buffer.getvalue().decode()
def put(key, file): aws('s3api', 'put-object', '--bucket', BUCKET, '--key', key, '--body', file)
def get(bucket, key, file): aws('s3api', 'get-object', '--bucket', bucket, '--key', key, file)
def list(bucket): return [o['Key'] for o in json.loads(aws('s3api', 'list-objects-v2', '--bucket', bucket, '--page-size', '9', '--output', 'json') or '{}').get('Contents', [])]
def put_large(key, file): aws('s3', 'cp', '--no-progress', file, 's3://%s/%s' % (BUCKET, key))
def copy(source, to): aws('s3', 'cp', '--no-progress', 's3://%s/%s' % (BUCKET, source), 's3://%s/%s' % (BUCKET, to))
def presign_get(key): return aws('s3', 'presign', 's3://%s/%s' % (BUCKET, key)).rstrip('\\n')
def remove(key): aws('s3', 'rm', 's3://%s/%s' % (BUCKET, key))
def remove_many(*keys):
    batch = os.path.join(SCRATCH, 'delete.json')
    with open(batch, 'w') as f: json.dump({'Objects': [{'Key': k} for k in keys], 'Quiet': True}, f)
    assert 'Errors' not in aws('s3api', 'delete-objects', '--bucket', BUCKET, '--delete', 'file://' + batch)
`;

export const awscli: Client = {name: 'awscli', version: '1.46.3', cannot: [notDeletedTogether], start: access => pythonSession(access, program, 'clients')};
