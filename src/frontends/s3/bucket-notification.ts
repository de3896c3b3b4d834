/** Whom a bucket tells of what happens in it. The events are the master's (master/events); which targets there are, operators say. */
import {notificationXml, parseNotificationXml} from '#codec/s3/notification-xml.ts';
import {requireBucket} from '#frontends/s3/bucket.ts';
import {documentOf} from '#frontends/s3/request-body.ts';
import {answer, bucketOf, bucketPath, type Operation, xml} from '#frontends/s3/request.ts';
import {notificationSetting, parseNotification} from '#model/notification.ts';

export const getNotification: Operation = async (request) => {
  const bucket = bucketOf(request);
  const {inode} = await requireBucket(request, bucket);
  const text = inode.settings === undefined ? undefined : (await request.files.getSettings(bucketPath(bucket), request.context)).settings[notificationSetting];
  await xml(request, notificationXml(text === undefined ? [] : parseNotification(text)));
};

/** Without any rule it ends all. */
export const putNotification: Operation = async (request) => {
  const bucket = bucketOf(request);
  const {inode} = await requireBucket(request, bucket);
  let unnamed = 0;
  const rules = parseNotificationXml(await documentOf(request), () => `${request.requestId}-${++unnamed}`);
  if (rules.length > 0) await request.files.setSetting(bucketPath(bucket), notificationSetting, JSON.stringify(rules), request.context);
  else if (inode.settings !== undefined) await request.files.setSetting(bucketPath(bucket), notificationSetting, null, request.context);
  await answer(request, 200);
};
