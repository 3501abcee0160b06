// SPDX-License-Identifier: EUPL-1.2
// Verifies, narrows and seals the tokens of standard input with the Biscuit library that runs as WebAssembly.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const file = `${process.env.NODE_PATH}/@biscuit-auth/biscuit-wasm/module/biscuit.js`;
const library = await import(pathToFileURL(file));
library.init?.();
const { algorithm, key, token, facts, block } = JSON.parse(readFileSync(0, "utf8"));
const kind = library.SignatureAlgorithm[algorithm === "ed25519" ? "Ed25519" : "Secp256r1"];
const verified = library.Biscuit.fromBase64(token, library.PublicKey.fromString(key, kind));
const asked = new library.AuthorizerBuilder();
asked.addCode(`${facts} allow if true;`);
const limits = { max_facts: 1000, max_iterations: 100, max_time_micro: 1_000_000 };
const verdict = asked.buildAuthenticated(verified).authorizeWithLimits(limits);
const added = library.Biscuit.block_builder();
added.addCode(block);
const narrowed = verified.appendBlock(added);
console.log(JSON.stringify({ verdict, narrowed: narrowed.toBase64(), sealed: narrowed.sealToken().toBase64() }));
