// Package schemas holds the wire contract in a form that any language can
// read, embedded: the JSON Schema 2020-12 document of every event type (v1),
// the AsyncAPI document that says which of them travels where, examples with
// the verdict each of them must get, the list of bad input with its answers,
// and the vectors of the token and filter encodings.
//
// It holds documents and readers of them, no rules of its own. Commands are
// closed: a field the schema does not know is refused. Results are open:
// readers ignore fields they do not know. What a schema cannot see (how a
// number was spelled, a name written twice, bytes behind the document) is the
// decoder's alone and marked "lexical" in the examples. The tests in
// proof/contract hold the documents, the decoder and the encoder together, and
// write the generated ones anew.
package schemas

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
)

// BaseURI is the prefix of every schema's $id; the file name of the schema in
// v1 follows it.
const BaseURI = "https://countermand.dev/schemas/v1/"

//go:embed v1 examples vectors asyncapi.json
var files embed.FS

// FS returns the embedded documents, read-only: v1, examples, vectors and
// asyncapi.json, with slash-separated paths as in the source tree. It is safe
// for concurrent use.
func FS() fs.FS { return files }

// BadInput is one line of the bad input list (docs/errors.md has the same
// lines under the same ids): a message as a publisher might send it and the
// answer it gets.
type BadInput struct {
	// ID names the line, here, in docs/errors.md and in test names.
	ID string `json:"id"`
	// Says describes the input in a few words.
	Says string `json:"says"`
	// Subject is what the message is published on.
	Subject string `json:"subject"`
	// Headers are the message's headers.
	Headers map[string][]string `json:"headers,omitempty"`
	// Data is the message's data where it is UTF-8 text.
	Data string `json:"data,omitempty"`
	// DataBase64 is the data where it is not; set, it replaces Data.
	DataBase64 []byte `json:"dataBase64,omitempty"`
	// Pad is the number of spaces to append to the data, for inputs whose
	// only fault is their size.
	Pad int `json:"pad,omitempty"`
	// Expect is the answer.
	Expect Answer `json:"expect"`
}

// The kinds of answer a bad input gets.
const (
	// AnswerCommandRejected: payment.command.rejected with the fault named.
	AnswerCommandRejected = "command_rejected"
	// AnswerRejected: payment.<op>.rejected with the code named.
	AnswerRejected = "rejected"
	// AnswerStream: the stream refuses the publish, nothing is stored.
	AnswerStream = "stream"
)

// Answer is what becomes of a bad input.
type Answer struct {
	// Kind is one of the Answer constants.
	Kind string `json:"kind"`
	// Pointer and Rule name the fault that must be among those listed, for
	// the kind command_rejected.
	Pointer string `json:"pointer,omitempty"`
	Rule    string `json:"rule,omitempty"`
	// Code is the code of the answering event, for both kinds of rejection.
	Code string `json:"code,omitempty"`
	// StreamError is the JetStream error code of the refusal, for the kind stream.
	StreamError int `json:"streamError,omitempty"`
	// By says who finds it out: "decoder" (the message alone is enough),
	// "service" (configuration or the payment's state are needed) or "stream".
	By string `json:"by"`
}

// Bytes returns the data to publish.
func (b BadInput) Bytes() []byte {
	data := []byte(b.Data)
	if len(b.DataBase64) > 0 {
		data = append([]byte(nil), b.DataBase64...)
	}
	for range b.Pad {
		data = append(data, ' ')
	}
	return data
}

// BadInputs returns the bad input list, examples/badinput.json, in its order.
// An error means that the embedded file is damaged.
func BadInputs() ([]BadInput, error) {
	raw, err := files.ReadFile("examples/badinput.json")
	if err != nil {
		return nil, fmt.Errorf("read bad input list: %w", err)
	}
	var list []BadInput
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("parse bad input list: %w", err)
	}
	return list, nil
}
