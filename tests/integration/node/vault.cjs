// SPDX-License-Identifier: EUPL-1.2
// What an application does with node-vault: logs in with AppRole, keeps secrets, hands one on, wrapped. Prints JSON.
'use strict';

const vault = require('node-vault');

const { BAO_ADDR: endpoint, NAME: name, ROLE_ID: role, SECRET_ID: secret } = process.env;

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return [error.response ? error.response.statusCode : 0, error.message];
  }
  return ['accepted'];
}

async function main() {
  const client = vault({ apiVersion: 'v1', endpoint });
  const told = {};
  const health = await client.health();
  told.health = [health.initialized, health.sealed];
  told.stranger = await refusal(client.read(`${name}/data/app`));
  told.wrong = await refusal(client.write(`auth/${name}/login`, { role_id: role, secret_id: 'wrong' }));
  const login = await client.approleLogin({ role_id: role, secret_id: secret, mount_point: name });
  told.metadata = login.auth.metadata;
  told.policies = login.auth.policies;
  client.token = login.auth.client_token;
  told.self = (await client.tokenLookupSelf()).data.meta;
  told.renewed = (await client.tokenRenewSelf()).auth.client_token === client.token;
  told.read = (await client.read(`${name}/data/app`)).data.data;
  told.written = (await client.write(`${name}/data/made`, { data: { a: 1 } })).data.version;
  told.updated = (await client.write(`${name}/data/made`, { data: { a: 2 } })).data.version;
  told.old = (await client.read(`${name}/data/made?version=1`)).data.data;
  told.listed = (await client.list(`${name}/metadata`)).data.keys;
  told.missing = await refusal(client.read(`${name}/data/none`));
  told.forbidden = await refusal(client.mounts());
  const child = await client.tokenCreate({ ttl: '5m' });
  told.child = child.auth.policies;
  client.token = login.auth.client_token; // the library has put the child's token in its place
  await client.tokenRevoke({ token: child.auth.client_token });
  await client.tokenRevokeSelf();
  told.revoked = await refusal(client.tokenLookupSelf());
  console.log(JSON.stringify(told));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
