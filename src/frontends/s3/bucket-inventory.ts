/** Inventory configurations: kept here, carried out by client/inventory. */
import {fromText} from '#base/byte-string.ts';
import {inventoryListXml, inventoryXml, parseInventoryXml} from '#codec/s3/inventory-xml.ts';
import {S3Error} from '#codec/s3/s3-error.ts';
import {getInventory, putInventory, removeInventory} from '#client/inventory/inventories.ts';
import {needs} from '#frontends/s3/access/operations.ts';
import {findBucket, requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, xml} from '#frontends/s3/request.ts';
import {inventoriesOf} from '#model/inventory.ts';

const inventoriesMax = 1_000;
const inventoriesAPage = 100;

const noSuchConfiguration = (): S3Error => new S3Error('NoSuchConfiguration', 'The specified configuration does not exist.');

/** With an id that one, without all, a page at a time. */
export const getInventories: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const id = request.query('id');
  if (id !== undefined) {
    const inventory = await getInventory(request.files, bucket, id, request.context);
    if (!inventory) throw noSuchConfiguration();
    return await xml(request, inventoryXml(inventory));
  }
  const token = request.query('continuation-token');
  const after = token === undefined ? '' : Buffer.from(token, 'base64url').toString('utf8');
  const all = inventoriesOf((await request.files.getSettings(bucketPath(bucket), request.context)).settings).filter((one) => one.id > after);
  const page = all.slice(0, inventoriesAPage);
  const next = all.length > page.length ? Buffer.from(page.at(-1)!.id, 'utf8').toString('base64url') : undefined;
  await xml(request, inventoryListXml(page, token, next));
};

/** Who sets one up must be allowed to write where its reports go. */
export const putInventoryConfiguration: Operation = async (request) => {
  const bucket = bucketOf(request);
  await requireBucket(request, bucket);
  const inventory = parseInventoryXml(await documentOf(request));
  if (request.query('id') !== inventory.id) throw new S3Error('InvalidArgument', 'The id of the request is not that of its document.', {ArgumentName: 'id', ArgumentValue: request.query('id') ?? ''});
  const destination = fromText(inventory.destination);
  if (!(await findBucket(request, destination))) throw new S3Error('InvalidArgument', 'The destination bucket does not exist.', {ArgumentName: 'Bucket', ArgumentValue: inventory.destination});
  await request.access.demand(needs.putObject, {bucket: destination, key: fromText(inventory.destinationPrefix || inventory.id)});
  const kept = inventoriesOf((await request.files.getSettings(bucketPath(bucket), request.context)).settings);
  if (kept.length >= inventoriesMax && !kept.some(({id}) => id === inventory.id)) {
    throw new S3Error('TooManyConfigurations', 'You are attempting to create a new configuration but have already reached the 1,000-configuration limit.');
  }
  await putInventory(request.files, bucket, inventory, request.context);
  await answer(request, 204);
};

export const deleteInventoryConfiguration: Operation = async (request) => {
  const bucket = bucketOf(request);
  const {inode} = await requireBucket(request, bucket);
  const removed = inode.settings !== undefined && (await removeInventory(request.files, bucket, request.query('id') ?? '', request.context));
  if (!removed) throw noSuchConfiguration();
  await answer(request, 204);
};
