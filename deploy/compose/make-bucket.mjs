// The one-shot service `make-bucket`: makes S3_BUCKET, unless it is there. Beside the image's node_modules, so that it finds the SDK.
import { env } from 'node:process';
import { CreateBucketCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';

const {
  S3_BUCKET: bucket,
  S3_ENDPOINT: endpoint,
  S3_ACCESS_KEY_ID: accessKeyId,
  S3_SECRET_ACCESS_KEY: secretAccessKey,
} = env;
if (!bucket || !endpoint || !accessKeyId || !secretAccessKey) {
  process.stderr.write('Set S3_BUCKET, S3_ENDPOINT, S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY in .env.\n');
  process.exit(64);
}
const client = new S3Client({
  endpoint,
  credentials: { accessKeyId, secretAccessKey },
  region: env.AWS_REGION || 'us-east-1',
  forcePathStyle: true,
});
try {
  await client.send(new HeadBucketCommand({ Bucket: bucket }));
  process.stdout.write(`The bucket ${bucket} is there.\n`);
} catch (error) {
  if (error.$metadata?.httpStatusCode !== 404) throw error;
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  process.stdout.write(`Made the bucket ${bucket}.\n`);
}
