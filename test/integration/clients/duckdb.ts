import {pythonClients} from '../../servers/python-clients.ts';
import type {Client} from './client.ts';
import {driverSession, clientEnvironment} from './python.ts';
import {dotParts, markers} from './names.ts';
import {pythonDriver} from './driver.ts';

const program = `
import duckdb
db = duckdb.connect(config={'allow_unsigned_extensions': True})
db.execute("LOAD '%s'" % os.environ['HTTPFS'])
db.execute("SET s3_uploader_max_filesize='80GB'") # parts of 8 MB
db.execute("CREATE SECRET (TYPE s3, KEY_ID '%s', SECRET '%s', ENDPOINT '%s', URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')" % (K, S, E.split('//')[1]))
def uri(key, bucket=BUCKET): return ('s3://%s/%s' % (bucket, key)).replace("'", "''")
def put(key, file):
    db.execute("COPY (SELECT content FROM read_blob('%s')) TO '%s' (FORMAT blob)" % (file, uri(key)))
put_large = put
def get(bucket, key, file):
    with open(file, 'wb') as f: f.write(db.execute("SELECT content FROM read_blob('%s')" % uri(key, bucket)).fetchone()[0])
def list(bucket): return [r[0][len('s3:///') + len(bucket):] for r in db.execute("SELECT file FROM glob('s3://%s/**')" % bucket).fetchall()]
`;

export const duckdb: Client = {
  name: 'duckdb',
  version: '1.5.5',
  cannot: [
    {names: markers, doing: ['list'], why: 'leaves out what ends in a slash, as a directory'},
    {names: dotParts, why: 'signs the path as it is, and its HTTP library sends another, without the dots'},
    {names: ['#?', 'globs'], why: 'takes what follows ? for parameters'},
    {names: ['back slash'], doing: ['get'], why: 'takes it for the escape of a pattern'},
  ],
  start: async access => {
    const clients = await pythonClients('stock clients');
    return clients && (await driverSession(pythonDriver(clients.python, program, {...clientEnvironment(access), HTTPFS: clients.httpfsExtension})));
  },
};
