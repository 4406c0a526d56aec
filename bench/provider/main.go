// Command provider is the provider all contestants call: OPay's refund and its
// query, as far as a good day needs them. It runs in a process of its own, so that
// its work is nobody's, and counts the calls that move money by payment.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/countermand/countermand/bench/job"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:4280", "address")
	delay := flag.Duration("delay", 0, "how long a refund takes")
	flag.Parse()
	p := &provider{delay: *delay, calls: map[string]int{}, moved: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+job.RefundPath, p.refund)
	mux.HandleFunc("POST "+job.QueryPath, p.query)
	mux.HandleFunc("GET "+job.CallsPath, p.tell)
	server := &http.Server{Addr: *listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// provider remembers what it was asked; safe for concurrent use.
type provider struct {
	delay time.Duration

	mu      sync.Mutex
	queries int
	calls   map[string]int    // by payment
	moved   map[string]string // amount by reference: a reference moves money once
}

func (p *provider) refund(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	payment, reference := string(job.Between(body, `"originalReference":"`, `"`)), string(job.Between(body, `"reference":"`, `"`))
	amount := string(job.Between(body, `"total":`, "}"))
	if err != nil || payment == "" || reference == "" || amount == "" {
		fmt.Fprint(w, `{"code":"02001","message":"request params not valid"}`)
		return
	}
	p.mu.Lock()
	p.calls[payment]++
	_, repeated := p.moved[reference]
	if !repeated {
		p.moved[reference] = amount
	}
	p.mu.Unlock()
	// The money has moved; the answer takes its time.
	if p.delay > 0 {
		time.Sleep(p.delay)
	}
	p.answer(w, payment, reference, amount)
}

func (p *provider) query(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // cut off: nothing is found
	reference := string(job.Between(body, `"reference":"`, `"`))
	p.mu.Lock()
	p.queries++
	amount, known := p.moved[reference]
	p.mu.Unlock()
	if !known {
		fmt.Fprint(w, `{"code":"02006","message":"not found"}`)
		return
	}
	p.answer(w, "", reference, amount)
}

func (*provider) answer(w http.ResponseWriter, payment, reference, amount string) {
	status := "SUCCESS"
	if amount == strconv.Itoa(job.PendingAmount) {
		status = "PENDING"
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"code":"00000","message":"SUCCESSFUL","data":{"reference":%q,"originalReference":%q,"orderNo":"211009140896593010","country":"EG","orderStatus":%q,"refundAmount":{"currency":%q,"total":%s}}}`,
		reference, payment, status, job.Currency, amount)
}

func (p *provider) tell(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := job.Calls{Payments: len(p.calls), Queries: p.queries}
	for _, n := range p.calls {
		c.Total += n
		c.Repeated += n - 1
	}
	_ = json.NewEncoder(w).Encode(c) // whoever asked is gone
}
