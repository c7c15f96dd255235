// SPDX-License-Identifier: Apache-2.0
// AWS's own client from npm against faasd, with AWS_ENDPOINT_URL_LAMBDA, a region and two keys in the environment and no setting in the code: `node lambda.mjs PART`, where
// the directory FAASD_SDK has node_modules and FAASD_ZIPS the archives.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const sdk = createRequire(`${process.env.FAASD_SDK}/`)('@aws-sdk/client-lambda');
const lambda = new sdk.Lambda({});
const part = process.argv[2];
const FunctionName = `sdk-${part}`;
const Role = 'arn:aws:iam::000000000000:role/any';
const ARN = `arn:aws:lambda:${process.env.AWS_REGION}:000000000000:function:${FunctionName}`;
const zip = (name) => readFileSync(`${process.env.FAASD_ZIPS}/${name}.zip`);
const event = (value) => JSON.stringify(value);
const answer = (reply) => JSON.parse(Buffer.from(reply.Payload).toString());
const waiting = { client: lambda, maxWaitTime: 30, minDelay: 1, maxDelay: 2 };

async function create(language = 'python', more = {}) {
  const settings = {
    python: { Runtime: process.env.FAASD_PYTHON, Handler: 'app.handler' },
    node: { Runtime: process.env.FAASD_NODE, Handler: 'index.handler' },
    stream: { Runtime: process.env.FAASD_NODE, Handler: 'index.handler' },
    bootstrap: { Runtime: 'provided.al2023', Handler: 'any' },
  }[language];
  const made = await lambda.createFunction({ FunctionName, Role, ...settings, Code: { ZipFile: zip(language) }, ...more });
  await sdk.waitUntilFunctionActiveV2(waiting, { FunctionName });
  return made;
}

// An error of that class, with that status.
async function fails(promise, type, status, words) {
  const e = await promise.then(() => assert.fail(`no ${type}`), (error) => error);
  assert.ok(sdk[type] ? e instanceof sdk[type] : e.name === type, `${e.name}: ${e.message}, not ${type}`);
  assert.equal(e.$metadata.httpStatusCode, status);
  assert.match(e.$metadata.requestId, /^[0-9a-f-]{36}$/);
  if (words) assert.match(e.message, words);
  return e;
}

async function readStream(reply) {
  const pieces = [];
  let complete;
  for await (const one of reply.EventStream) {
    if (one.PayloadChunk) pieces.push(Buffer.from(one.PayloadChunk.Payload));
    if (one.InvokeComplete) complete = one.InvokeComplete;
  }
  return { text: Buffer.concat(pieces).toString(), complete };
}

const PARTS = {
  async create() {
    const made = await create('python', { Description: 'first', MemorySize: 192, Timeout: 7, Environment: { Variables: { WORD: 'kept' } } });
    assert.equal(made.$metadata.httpStatusCode, 201);
    assert.deepEqual([made.FunctionArn, made.State, made.Version, made.CodeSize], [ARN, 'Pending', '$LATEST', zip('python').length]);
    const found = await lambda.getFunction({ FunctionName });
    assert.deepEqual([found.Configuration.State, found.Configuration.LastUpdateStatus, found.Configuration.MemorySize], ['Active', 'Successful', 192]);
    const configuration = await lambda.getFunctionConfiguration({ FunctionName: ARN });
    assert.deepEqual(configuration.Environment.Variables, { WORD: 'kept' });
    await sdk.waitUntilFunctionExists(waiting, { FunctionName });
    const names = [];
    for await (const page of sdk.paginateListFunctions({ client: lambda, pageSize: 1 }, {})) names.push(...page.Functions.map((f) => f.FunctionName));
    assert.ok(names.includes(FunctionName));
    assert.ok((await lambda.getAccountSettings({})).AccountUsage.FunctionCount >= 1);
    assert.deepEqual(answer(await lambda.invoke({ FunctionName, Payload: event({ n: 1 }) })), { said: { n: 1 }, name: FunctionName });
  },

  async languages() {
    for (const language of ['python', 'node', 'bootstrap']) {
      await create(language);
      const reply = await lambda.invoke({ FunctionName, Payload: event({ n: 1 }) });
      assert.equal(reply.FunctionError, undefined);
      assert.deepEqual(answer(reply).said, { n: 1 }, language);
      await lambda.deleteFunction({ FunctionName });
    }
  },

  async invoke() {
    await create();
    const reply = await lambda.invoke({ FunctionName, Payload: event('hi'), LogType: 'Tail', Qualifier: '$LATEST', ClientContext: Buffer.from('{"custom":{}}').toString('base64') });
    assert.deepEqual([reply.StatusCode, reply.ExecutedVersion, answer(reply).said], [200, '$LATEST', 'hi']);
    assert.match(Buffer.from(reply.LogResult, 'base64').toString(), new RegExp(`^START RequestId: ${reply.$metadata.requestId} Version: \\$LATEST\\nEND RequestId: .*\\nREPORT `));
    const raised = await lambda.invoke({ FunctionName, Payload: event('raise') });
    assert.deepEqual([raised.StatusCode, raised.FunctionError, answer(raised).errorType], [200, 'Unhandled', 'ValueError']);
    assert.equal((await lambda.invoke({ FunctionName, InvocationType: 'Event', Payload: event(1) })).StatusCode, 202);
    assert.equal((await lambda.invoke({ FunctionName, InvocationType: 'DryRun' })).StatusCode, 204);
    assert.equal((await lambda.invokeAsync({ FunctionName, InvokeArgs: event(1) })).Status, 202);
  },

  async stream() {
    await create('stream');
    const reply = await lambda.invokeWithResponseStream({ FunctionName, Payload: event({}), LogType: 'Tail' });
    assert.deepEqual([reply.StatusCode, reply.ExecutedVersion], [200, '$LATEST']);
    const whole = await readStream(reply);
    assert.equal(whole.text, 'one two');
    assert.equal(whole.complete.ErrorCode, undefined);
    assert.match(Buffer.from(whole.complete.LogResult, 'base64').toString(), /^START RequestId: [^]*\nREPORT RequestId: /);
    const broken = await readStream(await lambda.invokeWithResponseStream({ FunctionName, Payload: event({ break: 1 }) }));
    assert.deepEqual([broken.text, broken.complete.ErrorCode, JSON.parse(broken.complete.ErrorDetails).errorMessage], ['one ', 'RangeError', 'midway']);
    // The first piece is here while the function waits for what comes behind it.
    const slow = await lambda.invokeWithResponseStream({ FunctionName, Payload: event({ hang: 1 }) });
    for await (const one of slow.EventStream) {
      assert.equal(Buffer.from(one.PayloadChunk.Payload).toString(), 'one ');
      break;
    }
  },

  async update() {
    const made = await create();
    const before = (await lambda.getFunction({ FunctionName })).Configuration;
    assert.notEqual(before.RevisionId, made.RevisionId);
    const changed = await lambda.updateFunctionConfiguration({ FunctionName, Timeout: 11, Description: 'second', RevisionId: before.RevisionId });
    assert.deepEqual([changed.Timeout, changed.LastUpdateStatus], [11, 'InProgress']);
    await sdk.waitUntilFunctionUpdatedV2(waiting, { FunctionName });
    await fails(lambda.updateFunctionConfiguration({ FunctionName, Timeout: 12, RevisionId: before.RevisionId }), 'PreconditionFailedException', 412, /The Revision Id provided does not match/);
    const code = await lambda.updateFunctionCode({ FunctionName, ZipFile: zip('other'), Publish: true });
    assert.notEqual(code.CodeSha256, before.CodeSha256);
    assert.equal(code.Version, '1');
    await sdk.waitUntilFunctionUpdatedV2(waiting, { FunctionName });
    await sdk.waitUntilFunctionUpdated(waiting, { FunctionName });
    assert.equal(answer(await lambda.invoke({ FunctionName, Payload: event(1) })).other, 1);
    await lambda.updateFunctionCode({ FunctionName, ZipFile: zip('python'), DryRun: true });
    assert.equal((await lambda.getFunctionConfiguration({ FunctionName })).CodeSha256, code.CodeSha256);
  },

  async versions() {
    const made = await create();
    const one = await lambda.publishVersion({ FunctionName, Description: 'one', CodeSha256: made.CodeSha256 });
    assert.deepEqual([one.Version, one.FunctionArn], ['1', `${ARN}:1`]);
    await sdk.waitUntilPublishedVersionActive(waiting, { FunctionName, Qualifier: '1' });
    await lambda.updateFunctionCode({ FunctionName, ZipFile: zip('other') });
    await sdk.waitUntilFunctionUpdatedV2(waiting, { FunctionName });
    assert.equal((await lambda.publishVersion({ FunctionName })).Version, '2');
    assert.deepEqual((await lambda.listVersionsByFunction({ FunctionName })).Versions.map((v) => v.Version), ['$LATEST', '1', '2']);
    const alias = await lambda.createAlias({ FunctionName, Name: 'live', FunctionVersion: '1', RoutingConfig: { AdditionalVersionWeights: { 2: 0.5 } } });
    assert.deepEqual([alias.AliasArn, alias.RoutingConfig.AdditionalVersionWeights], [`${ARN}:live`, { 2: 0.5 }]);
    const ran = new Set();
    while (ran.size < 2) ran.add((await lambda.invoke({ FunctionName, Qualifier: 'live', Payload: event(1) })).ExecutedVersion);
    assert.deepEqual([...ran].sort(), ['1', '2']);
    await lambda.updateAlias({ FunctionName, Name: 'live', FunctionVersion: '2', RoutingConfig: { AdditionalVersionWeights: {} }, Description: 'moved' });
    assert.deepEqual([(await lambda.getAlias({ FunctionName, Name: 'live' })).FunctionVersion, (await lambda.listAliases({ FunctionName })).Aliases.length], ['2', 1]);
    await fails(lambda.createAlias({ FunctionName, Name: 'live', FunctionVersion: '1' }), 'ResourceConflictException', 409, /Alias already exists: /);
    await fails(lambda.deleteFunction({ FunctionName, Qualifier: '2' }), 'ResourceConflictException', 409);
    await lambda.deleteAlias({ FunctionName, Name: 'live' });
    await fails(lambda.getAlias({ FunctionName, Name: 'live' }), 'ResourceNotFoundException', 404, /Cannot find alias arn: /);
    await lambda.deleteFunction({ FunctionName, Qualifier: '2' });
    await fails(lambda.getFunction({ FunctionName, Qualifier: '2' }), 'ResourceNotFoundException', 404);
  },

  async policy() {
    await create();
    await fails(lambda.getPolicy({ FunctionName }), 'ResourceNotFoundException', 404, /No policy is associated with the given resource\./);
    const said = JSON.parse((await lambda.addPermission({ FunctionName, StatementId: 's1', Action: 'lambda:InvokeFunction', Principal: 's3.amazonaws.com', SourceArn: 'arn:aws:s3:::b' })).Statement);
    assert.deepEqual([said.Sid, said.Effect, said.Resource], ['s1', 'Allow', ARN]);
    await fails(lambda.addPermission({ FunctionName, StatementId: 's1', Action: 'lambda:InvokeFunction', Principal: '*' }), 'ResourceConflictException', 409, /statement id \(s1\)/);
    assert.equal(JSON.parse((await lambda.getPolicy({ FunctionName })).Policy).Statement.length, 1);
    await lambda.removePermission({ FunctionName, StatementId: 's1' });
    await fails(lambda.removePermission({ FunctionName, StatementId: 's1' }), 'ResourceNotFoundException', 404);
  },

  async url() {
    await create('stream');
    const made = await lambda.createFunctionUrlConfig({ FunctionName, AuthType: 'NONE', InvokeMode: 'RESPONSE_STREAM', Cors: { AllowOrigins: ['*'] } });
    assert.equal(made.InvokeMode, 'RESPONSE_STREAM');
    await lambda.addPermission({ FunctionName, StatementId: 'all', Action: 'lambda:InvokeFunctionUrl', Principal: '*', FunctionUrlAuthType: 'NONE' });
    const reply = await fetch(made.FunctionUrl, { method: 'POST', body: event({ status: 418, hang: 1 }), headers: { 'Content-Type': 'application/json', Origin: 'https://a.example' } });
    assert.deepEqual([reply.status, reply.headers.get('x-a'), reply.headers.get('access-control-allow-origin')], [418, 'b', '*']);
    const reader = reply.body.getReader();
    assert.equal(Buffer.from((await reader.read()).value).toString(), 'one '); // the function has not ended, and won't by itself
    await reader.cancel();
    const changed = await lambda.updateFunctionUrlConfig({ FunctionName, InvokeMode: 'BUFFERED' });
    assert.deepEqual([changed.InvokeMode, changed.FunctionUrl], ['BUFFERED', made.FunctionUrl]);
    const whole = await fetch(made.FunctionUrl, { method: 'POST', body: event({ status: 418 }), headers: { 'Content-Type': 'application/json' } });
    assert.deepEqual([whole.status, whole.headers.get('content-length'), await whole.text()], [418, '7', 'one two']);
    assert.equal((await lambda.getFunctionUrlConfig({ FunctionName })).AuthType, 'NONE');
    assert.equal((await lambda.listFunctionUrlConfigs({ FunctionName })).FunctionUrlConfigs.length, 1);
    await fails(lambda.createFunctionUrlConfig({ FunctionName, AuthType: 'NONE' }), 'ResourceConflictException', 409);
    await lambda.deleteFunctionUrlConfig({ FunctionName });
    await fails(lambda.getFunctionUrlConfig({ FunctionName }), 'ResourceNotFoundException', 404);
    assert.equal((await fetch(made.FunctionUrl)).status, 403);
  },

  async errors() {
    await create();
    const missing = await fails(lambda.invoke({ FunctionName: 'nobody' }), 'ResourceNotFoundException', 404, /Function not found: arn:aws:lambda:.*:function:nobody/);
    assert.equal(missing.Type, 'User');
    await fails(lambda.createFunction({ FunctionName, Role, Runtime: process.env.FAASD_PYTHON, Handler: 'app.handler', Code: { ZipFile: zip('python') } }), 'ResourceConflictException', 409, /Function already exist: /);
    await fails(lambda.createFunction({ FunctionName: 'x', Role, Runtime: 'cobol', Handler: 'a.b', Code: { ZipFile: zip('python') } }), 'InvalidParameterValueException', 400, /enum value set/);
    await fails(lambda.createFunction({ FunctionName: 'x', Role, Runtime: process.env.FAASD_PYTHON, Handler: 'app.handler', Code: { ZipFile: Buffer.from('no zip') } }), 'InvalidParameterValueException', 400, /Could not unzip uploaded file/);
    await fails(lambda.invoke({ FunctionName, Payload: '{"a":' }), 'InvalidRequestContentException', 400, /Could not parse request body into json/);
    await fails(lambda.getFunction({ FunctionName: 'a b' }), 'ValidationException', 400, /1 validation error detected/);
    await fails(lambda.updateFunctionConfiguration({ FunctionName, Timeout: 901 }), 'ValidationException', 400, /less than or equal to 900/);
    await fails(lambda.invoke({ FunctionName, Payload: Buffer.alloc(6291457, ' ') }), 'RequestEntityTooLargeException', 413, /Request must be smaller than 6291456 bytes/);
    const wrong = new sdk.Lambda({ credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: 'wrong' } });
    await fails(wrong.getFunction({ FunctionName }), 'InvalidSignatureException', 403, /signature we calculated does not match/);
    const nobody = new sdk.Lambda({ credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wrong' } });
    await fails(nobody.getFunction({ FunctionName }), 'UnrecognizedClientException', 403, /security token included in the request is invalid/);
  },

  async throttling() {
    await create('python', { Timeout: 20 });
    await lambda.putFunctionConcurrency({ FunctionName, ReservedConcurrentExecutions: 0 });
    const e = await fails(new sdk.Lambda({ maxAttempts: 1 }).invoke({ FunctionName, Payload: event(1) }), 'TooManyRequestsException', 429, /Rate Exceeded/);
    assert.equal(e.Reason, 'ReservedFunctionConcurrentInvocationLimitExceeded');
  },

  async concurrency() {
    await create();
    assert.equal((await lambda.putFunctionConcurrency({ FunctionName, ReservedConcurrentExecutions: 1 })).ReservedConcurrentExecutions, 1);
    assert.equal((await lambda.getFunctionConcurrency({ FunctionName })).ReservedConcurrentExecutions, 1);
    assert.equal((await lambda.getFunction({ FunctionName })).Concurrency.ReservedConcurrentExecutions, 1);
    await lambda.deleteFunctionConcurrency({ FunctionName });
    assert.equal((await lambda.getFunctionConcurrency({ FunctionName })).ReservedConcurrentExecutions, undefined);
  },

  async provisioned() {
    await create();
    await lambda.publishVersion({ FunctionName });
    const where = { FunctionName, Qualifier: '1' };
    const asked = await lambda.putProvisionedConcurrencyConfig({ ...where, ProvisionedConcurrentExecutions: 1 });
    assert.deepEqual([asked.$metadata.httpStatusCode, asked.RequestedProvisionedConcurrentExecutions], [202, 1]);
    let told;
    do told = await lambda.getProvisionedConcurrencyConfig(where);
    while (told.Status === 'IN_PROGRESS');
    assert.deepEqual([told.Status, told.AllocatedProvisionedConcurrentExecutions], ['READY', 1]);
    assert.equal((await lambda.listProvisionedConcurrencyConfigs({ FunctionName })).ProvisionedConcurrencyConfigs.length, 1);
    await lambda.deleteProvisionedConcurrencyConfig(where);
    await fails(lambda.getProvisionedConcurrencyConfig(where), 'ProvisionedConcurrencyConfigNotFoundException', 404);
    await fails(lambda.putProvisionedConcurrencyConfig({ FunctionName, Qualifier: '$LATEST', ProvisionedConcurrentExecutions: 1 }), 'InvalidParameterValueException', 400);
  },

  async eventInvoke() {
    await create();
    await lambda.putFunctionEventInvokeConfig({ FunctionName, MaximumRetryAttempts: 1, MaximumEventAgeInSeconds: 60 });
    const changed = await lambda.updateFunctionEventInvokeConfig({ FunctionName, MaximumRetryAttempts: 0 });
    assert.deepEqual([changed.MaximumRetryAttempts, changed.MaximumEventAgeInSeconds, changed.LastModified instanceof Date], [0, 60, true]);
    assert.equal((await lambda.listFunctionEventInvokeConfigs({ FunctionName })).FunctionEventInvokeConfigs.length, 1);
    await lambda.deleteFunctionEventInvokeConfig({ FunctionName });
    await fails(lambda.getFunctionEventInvokeConfig({ FunctionName }), 'ResourceNotFoundException', 404, /doesn't have an EventInvokeConfig/);
  },

  async tags() {
    await create('python', { Tags: { first: '1' } });
    await lambda.tagResource({ Resource: ARN, Tags: { second: '2' } });
    assert.deepEqual((await lambda.listTags({ Resource: ARN })).Tags, { first: '1', second: '2' });
    await lambda.untagResource({ Resource: ARN, TagKeys: ['first'] });
    assert.deepEqual((await lambda.getFunction({ FunctionName })).Tags, { second: '2' });
  },

  async layers() {
    const LayerName = 'sdk-layer';
    const made = await lambda.publishLayerVersion({ LayerName, Description: 'a layer', Content: { ZipFile: zip('layer') }, CompatibleRuntimes: [process.env.FAASD_PYTHON] });
    assert.deepEqual([made.$metadata.httpStatusCode, made.Version], [201, 1]);
    await create('layered', { Runtime: process.env.FAASD_PYTHON, Handler: 'app.handler', Layers: [made.LayerVersionArn] });
    assert.equal(answer(await lambda.invoke({ FunctionName, Payload: event(1) })).layer, 'from /opt');
    assert.equal((await lambda.getLayerVersion({ LayerName, VersionNumber: 1 })).LayerVersionArn, made.LayerVersionArn);
    assert.equal((await lambda.getLayerVersionByArn({ Arn: made.LayerVersionArn })).Version, 1);
    assert.equal((await lambda.listLayers({})).Layers.length, 1);
    assert.equal((await lambda.listLayerVersions({ LayerName })).LayerVersions.length, 1);
    await lambda.deleteLayerVersion({ LayerName, VersionNumber: 1 });
    await fails(lambda.getLayerVersion({ LayerName, VersionNumber: 1 }), 'ResourceNotFoundException', 404);
  },

  async kept() {
    await create();
    const mapping = await lambda.createEventSourceMapping({ FunctionName, EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:q', BatchSize: 5 });
    assert.deepEqual([mapping.$metadata.httpStatusCode, mapping.BatchSize, mapping.LastModified instanceof Date], [202, 5, true]);
    const { UUID } = mapping;
    await lambda.updateEventSourceMapping({ UUID, BatchSize: 7 });
    assert.equal((await lambda.getEventSourceMapping({ UUID })).BatchSize, 7);
    assert.deepEqual((await lambda.listEventSourceMappings({ FunctionName })).EventSourceMappings.map((m) => m.UUID), [UUID]);
    await lambda.deleteEventSourceMapping({ UUID });
    await fails(lambda.getEventSourceMapping({ UUID }), 'ResourceNotFoundException', 404);
    await lambda.putRuntimeManagementConfig({ FunctionName, UpdateRuntimeOn: 'FunctionUpdate' });
    assert.equal((await lambda.getRuntimeManagementConfig({ FunctionName })).UpdateRuntimeOn, 'FunctionUpdate');
    await lambda.putFunctionRecursionConfig({ FunctionName, RecursiveLoop: 'Allow' });
    assert.equal((await lambda.getFunctionRecursionConfig({ FunctionName })).RecursiveLoop, 'Allow');
  },

  async delete() {
    await create();
    const gone = await lambda.deleteFunction({ FunctionName });
    assert.ok(gone.$metadata.httpStatusCode < 300);
    await fails(lambda.getFunction({ FunctionName }), 'ResourceNotFoundException', 404);
    await fails(lambda.deleteFunction({ FunctionName }), 'ResourceNotFoundException', 404);
    await fails(lambda.invoke({ FunctionName }), 'ResourceNotFoundException', 404);
  },
};

if (part === undefined) {
  console.log(Object.keys(PARTS).join('\n'));
} else {
  await PARTS[part]();
}
process.exit(); // what a stream that was left alone still holds open
