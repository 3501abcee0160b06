// SPDX-License-Identifier: EUPL-1.2
// An OpenID provider, panva's oidc-provider, on loopback. Anybody signs in by any name; a name's groups are its own.
// PORT says where, CLIENTS which clients there are, KEY (a JWK) what it signs with, CLAIMS what each scope tells.
// Prints `ready` when it listens.
'use strict';

const { generateKeyPairSync, randomBytes } = require('node:crypto');

const { CLAIMS, CLIENTS, KEY, PORT } = process.env;
const address = `http://127.0.0.1:${PORT}`;

async function main() {
  const { Provider } = await import(require.resolve('oidc-provider'));
  const key = KEY ? JSON.parse(KEY) : generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const provider = new Provider(address, {
    clients: JSON.parse(CLIENTS),
    cookies: { keys: [randomBytes(24).toString('hex')] },
    jwks: { keys: [{ ...key, kid: 'first', use: 'sig', alg: 'RS256' }] },
    claims: CLAIMS ? JSON.parse(CLAIMS) : { openid: ['sub'], groups: ['groups', 'email'] },
    conformIdTokenClaims: false,
    features: { deviceFlow: { enabled: true } },
    responseTypes: ['code', 'id_token'],
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, email: `${sub}@mail.example`, groups: [`of-${sub}`] }),
    }),
  });
  provider.listen(Number(PORT), '127.0.0.1', () => console.log('ready'));
}

main();
