// SPDX-License-Identifier: Apache-2.0
// The credentials of the function's role, from the file that faasd put there: set in this process alone, so that no environment of /proc shows them.
'use strict';

const NAMES = { AccessKeyId: 'AWS_ACCESS_KEY_ID', SecretAccessKey: 'AWS_SECRET_ACCESS_KEY', SessionToken: 'AWS_SESSION_TOKEN' };

exports.take = (path) => {
  for (const variable of Object.values(NAMES))
    delete process.env[variable];
  try {
    const found = JSON.parse(require('fs').readFileSync(path, 'utf8'));
    const texts = Object.entries(NAMES).filter(([name]) => name in found).map(([name, variable]) => [variable, found[name]]);
    if (!found.AccessKeyId || !found.SecretAccessKey || texts.some(([, text]) => typeof text !== 'string'))
      throw new TypeError('no credentials');
    for (const [variable, text] of texts)
      process.env[variable] = text;
  } catch {
    process.stderr.write("faasd: the secret of this function's role (lambda.roles) is no JSON object with AccessKeyId and SecretAccessKey: no credentials are set\n");
  }
};
