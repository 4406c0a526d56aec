package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// Mount adds the administration paths (see the package comment) to a
// simulator's mux. seed adds one payment from its JSON.
func (b *Base) Mount(mux *http.ServeMux, seed func(body []byte) error) {
	mux.HandleFunc("GET /ledger", func(w http.ResponseWriter, _ *http.Request) {
		admit(w, struct {
			Movements []Movement       `json:"movements"`
			Totals    map[string]int64 `json:"totals"`
		}{b.ledger.Movements(""), b.ledger.Total("")}, nil)
	})
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { admit(w, b.Calls(), nil) })
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		b.ClearFaults()
		admit(w, struct{}{}, nil)
	})
	mux.HandleFunc("POST /release", func(w http.ResponseWriter, _ *http.Request) {
		admit(w, map[string]int{"executed": b.Release()}, nil)
	})
	mux.HandleFunc("POST /faults", b.accept(func(body []byte) error {
		faults, err := decodeFaults(body)
		if err != nil {
			return err
		}
		return b.Fault(faults...)
	}))
	mux.HandleFunc("POST /payments", b.accept(seed))
}

// accept hands a request's body on and answers what became of it.
func (b *Base) accept(take func([]byte) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := b.Read(r)
		if !ok {
			admit(w, nil, errors.New("body unreadable or too large"))
			return
		}
		admit(w, struct{}{}, take(body))
	}
}

// admit answers an administration request; an error is the caller's mistake.
func admit(w http.ResponseWriter, v any, err error) {
	code := http.StatusOK
	if err != nil {
		code, v = http.StatusBadRequest, map[string]string{"error": err.Error()}
	}
	reply := JSONReply(code, v)
	w.Header().Set("Content-Type", reply.ContentType)
	w.WriteHeader(reply.Status)
	_, _ = w.Write(append(reply.Body, '\n')) // the caller may be gone
}

// DecodeSeed decodes a seeded payment, refusing members it does not know.
func DecodeSeed(body []byte, v any) error { return decodeStrict(body, v) }

func decodeStrict(body []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text behind the JSON value")
	}
	return nil
}
