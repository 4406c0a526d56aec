// Package contract has no code, only tests: the wire contract is the same
// wherever it is written down. They hold the JSON Schemas, the examples, the
// AsyncAPI document, decoder and encoder, and the pages docs/contract.md and
// docs/errors.md against each other, and generate the schemas from tables:
//
//	go test ./proof/contract -run Generated -update
package contract
