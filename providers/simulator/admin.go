package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Mount adds the administration paths (see the package comment) to a
// simulator's mux. The function adds one payment.
func Mount[P any](b *Base, mux *http.ServeMux, add func(P) error) {
	b.seed = func(body []byte) error {
		var p P
		if err := Decode(body, &p); err != nil {
			return fmt.Errorf("decode payment: %w", err)
		}
		return add(p)
	}
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
	mux.HandleFunc("POST /payments", b.accept(b.seed))
}

// Seed adds one payment, of the simulator's own type or as what JSON makes it.
func (b *Base) Seed(payment any) error {
	body, err := json.Marshal(payment)
	if err != nil {
		return fmt.Errorf("encode payment: %w", err)
	}
	return b.seed(body)
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

// Decode decodes one JSON value and refuses members that v does not have.
func Decode(body []byte, v any) error {
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
