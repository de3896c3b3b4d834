import path from 'node:path';
import {java, mavenJars} from '../../servers/java.ts';
import {need, pythonVenv} from '../../servers/tools.ts';
import type {Client} from './client.ts';
import {pythonDriver} from './driver.ts';
import {dotParts, emptyParts, markers, outsideXml} from './names.ts';
import {clientEnvironment, driverSession} from './python.ts';

/**
 * Spark on s3a: files by Hadoop's FileSystem, and a table by Spark with the magic committer (`putTable`), whose tasks upload parts that only the
 * job's commit completes.
 */
const program = `
import glob
from pyspark.sql import SparkSession
own = ('slf4j', 'netty-', 'jackson', 'commons-') # those of Spark
jars = [j for j in glob.glob(os.environ['JARS'] + '/*.jar') if 'netty-nio-client' in j or 'third-party-jackson' in j or not os.path.basename(j).startswith(own)]
settings = {
  'spark.ui.enabled': 'false', 'spark.driver.extraClassPath': ':'.join(jars), 'spark.hadoop.fs.s3a.endpoint': E, 'spark.hadoop.fs.s3a.endpoint.region': 'us-east-1',
  'spark.hadoop.fs.s3a.access.key': K, 'spark.hadoop.fs.s3a.secret.key': S, 'spark.hadoop.fs.s3a.path.style.access': 'true', 'spark.hadoop.fs.s3a.connection.ssl.enabled': 'false',
  'spark.hadoop.fs.s3a.retry.limit': '1', 'spark.hadoop.fs.s3a.attempts.maximum': '1',
  'spark.hadoop.fs.s3a.multipart.size': '8M', 'spark.hadoop.fs.s3a.multipart.threshold': '8M', 'spark.sql.shuffle.partitions': '3', 'spark.local.dir': SCRATCH,
  'spark.hadoop.fs.s3a.committer.name': 'magic', 'spark.hadoop.fs.s3a.committer.magic.enabled': 'true',
  'spark.sql.sources.commitProtocolClass': 'org.apache.spark.internal.io.cloud.PathOutputCommitProtocol',
  'spark.sql.parquet.output.committer.class': 'org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter',
}
builder = SparkSession.builder.master('local[2]').appName('weir')
for name, value in settings.items(): builder = builder.config(name, value)
spark = builder.getOrCreate()
jvm, conf = spark._jvm, spark._jsc.hadoopConfiguration()
def path(key, bucket=BUCKET): return jvm.org.apache.hadoop.fs.Path('s3a', bucket, '/' + key)
def local(file): return jvm.org.apache.hadoop.fs.Path('file://' + file)
fs = path('').getFileSystem(conf)
def put(key, file): fs.copyFromLocalFile(False, True, local(file), path(key))
put_large = put
def get(bucket, key, file): path(key, bucket).getFileSystem(conf).copyToLocalFile(False, path(key, bucket), local(file), True)
def list(bucket):
    found, files = [], path('', bucket).getFileSystem(conf).listFiles(path('', bucket), True)
    while files.hasNext(): found.append(files.next().getPath().toUri().getPath()[1:])
    return found
def copy(source, to):
    # Its rename is a copy on the server and a delete: the source is put back by another.
    jvm.org.apache.hadoop.fs.FileUtil.copy(fs, path(source), fs, path(to), False, conf)
def remove(key): fs.delete(path(key), False)
def put_table(key): spark.range(0, 100000, 1, 3).selectExpr('id', 'id % 7 as part', "concat('row ', id) as text").write.mode('overwrite').partitionBy('part').parquet('s3a://%s/%s' % (BUCKET, key))
def count_table(key): return str(spark.read.parquet('s3a://%s/%s' % (BUCKET, key)).where('part = 3').count())
`;

export const spark: Client = {
  name: 'spark-s3a',
  version: 'Spark 4.1.1, Hadoop 3.4.2',
  cannot: [
    {names: markers, why: 'a path that ends in a slash is the path without it'},
    {names: [...emptyParts, ...dotParts], why: 'cleans paths'},
    {names: outsideXml, why: 'lists before it writes, without encoding-type=url, and cannot parse the prefix in the answer'},
  ],
  start: access =>
    need('Spark with s3a', 'stock clients', async () => {
      await java();
      const jars = await mavenJars('s3a', [
        {name: 'software.amazon.awssdk:s3-transfer-manager:2.42.0'}, {name: 'software.amazon.awssdk:sts:2.42.0'},
        {name: 'org.apache.hadoop:hadoop-aws:3.4.2', alone: true}, {name: 'org.apache.spark:spark-hadoop-cloud_2.13:4.1.1', alone: true},
        {name: 'software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3:1.2.1', alone: true},
      ]);
      const python = path.join(await pythonVenv('spark', ['pyspark==4.1.1']), 'bin/python');
      return await driverSession(pythonDriver(python, program, {...clientEnvironment(access), JARS: jars, SPARK_LOCAL_IP: '127.0.0.1'}));
    }),
};
