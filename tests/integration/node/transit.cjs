// SPDX-License-Identifier: EUPL-1.2
// What an application does with node-vault and transit: encrypts, signs, verifies, rotates. Prints JSON.
'use strict';

const { createPublicKey, verify } = require('node:crypto');
const vault = require('node-vault');

const { BAO_ADDR: endpoint, BAO_TOKEN: token, NAME: mount } = process.env;

const encode = (text) => Buffer.from(text).toString('base64');
const decode = (text) => Buffer.from(text, 'base64').toString();
const bytes = (signature) => Buffer.from(signature.split(':')[2], 'base64');

async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return [error.response ? error.response.statusCode : 0, error.message];
  }
  return ['accepted'];
}

async function main() {
  const client = vault({ apiVersion: 'v1', endpoint, token });
  const told = {};
  await client.write(`${mount}/keys/text`, { type: 'xchacha20-poly1305' });
  const sealed = (await client.write(`${mount}/encrypt/text`, { plaintext: encode('Grüße') })).data.ciphertext;
  await client.write(`${mount}/keys/text/rotate`, {});
  const anew = (await client.write(`${mount}/rewrap/text`, { ciphertext: sealed })).data.ciphertext;
  told.versions = [sealed, anew].map((text) => text.split(':')[1]);
  told.texts = [];
  for (const ciphertext of [sealed, anew]) {
    told.texts.push(decode((await client.write(`${mount}/decrypt/text`, { ciphertext })).data.plaintext));
  }
  told.altered = await refusal(client.write(`${mount}/decrypt/text`, { ciphertext: `${anew.slice(0, -8)}AAAAAAA=` }));
  told.signed = {};
  for (const [type, hash] of [['ecdsa-p256', 'sha256'], ['ecdsa-p384', 'sha256'], ['ed25519', null]]) {
    await client.write(`${mount}/keys/${type}`, { type });
    const { signature } = (await client.write(`${mount}/sign/${type}`, { input: encode('a text') })).data;
    const shown = (await client.read(`${mount}/keys/${type}`)).data.keys['1'].public_key;
    const key = type === 'ed25519'
      ? createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(shown, 'base64').toString('base64url') }, format: 'jwk' })
      : createPublicKey(shown);
    told.signed[type] = verify(hash, Buffer.from('a text'), key, bytes(signature));
  }
  const batch = (await client.write(`${mount}/encrypt/text`, {
    batch_input: [{ plaintext: encode('a') }, { plaintext: encode('b') }],
  })).data.batch_results;
  told.batch = (await client.write(`${mount}/decrypt/text`, { batch_input: batch })).data.batch_results
    .map((one) => decode(one.plaintext));
  told.unknown = await refusal(client.write(`${mount}/encrypt/none`, { plaintext: 'x' }));
  console.log(JSON.stringify(told));
}

main();
