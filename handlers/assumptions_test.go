package handlers_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/countermand/countermand/internal/simulators"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento/bentosim"
	"github.com/countermand/countermand/providers/opay/opaysim"
	"github.com/countermand/countermand/providers/openpay/openpaysim"
	"github.com/countermand/countermand/providers/simulator"
	"github.com/countermand/countermand/providers/tranzzo/tranzzosim"
)

// otherwise is a provider that behaves otherwise than no page of this very call
// promises, and what must come of one operation there.
type otherwise struct {
	subject string
	// sim behaves otherwise by itself; nil: the kind's own.
	sim func(*setup) simulator.Simulated
	// between changes what it is asked and what it answers; nil: nothing.
	between middleman
	// setting withdraws the assumption; the zero value: none does.
	setting simulator.Setting
	faults  []simulator.Fault
	more    string // of the payment, in the command
	// ends is the operation's end, or "deferred" or "reviewRequired".
	ends  string
	code  payment.Code
	moved int
}

// manyTimers is more than an operation in doubt needs until a person is asked.
const manyTimers = 2000

// assumptions are the rows of docs/providers.md, section "If an assumption is wrong".
func assumptions() map[string][]otherwise {
	lost := []simulator.Fault{{Operation: "refund", Mode: simulator.CutAfter, Times: 1}}
	unsent := []simulator.Fault{{Operation: "refund", Mode: simulator.CutBefore, Times: 1}}
	unseen := append(slices.Clone(lost), simulator.Fault{Operation: "query", Mode: simulator.Lag, Times: 3})
	const captured = `"capturedAmount":{"value":40000,"currency":"EGP"},`
	opaySim := func(o opaysim.Options) func(*setup) simulator.Simulated {
		return func(b *setup) simulator.Simulated {
			o.Now, o.FirstStatus = b.clock.Now, "SUCCESS"
			s := opaysim.New(o)
			return simulator.Simulated{Handler: s, Base: s.Base}
		}
	}
	executes := opaySim(opaysim.Options{RepeatsExecute: true})
	tranzzoSim := func(o tranzzosim.Options) func(*setup) simulator.Simulated {
		return func(b *setup) simulator.Simulated {
			o.Now = b.clock.Now
			s := tranzzosim.New(o)
			return simulator.Simulated{Handler: s, Base: s.Base}
		}
	}
	bentoSim := func(b *setup) simulator.Simulated {
		s := bentosim.New(bentosim.Options{Now: b.clock.Now, DeclineIn4xx: true})
		return simulator.Simulated{Handler: s, Base: s.Base}
	}
	return map[string][]otherwise{
		"OPay executes a repeated refund reference": {
			{subject: "opay refund partial", sim: executes, faults: unseen, ends: "succeeded", moved: 2},
			{subject: "opay refund partial", sim: executes, faults: unseen, setting: simulator.Setting{Key: "refundRepeat", Value: "unsafe"}, ends: "succeeded", moved: 1},
		},
		"OPay has another code for a known reference": {
			{subject: "opay refund partial", sim: opaySim(opaysim.Options{DuplicateCode: "31337"}), faults: unseen, ends: "succeeded", moved: 1},
		},
		"OPay has another code for not found": {
			{subject: "opay refund partial", between: replacing("/payment/refund/query", `"02006"`, `"77777"`), faults: unsent, ends: "reviewRequired"},
		},
		"OPay has no payment status": {
			{subject: "opay refund full", between: answering("/cashier/status", http.StatusNotFound, "page not found"), ends: "deferred"},
			{subject: "opay refund full", between: answering("/cashier/status", http.StatusNotFound, "page not found"), more: captured, ends: "succeeded", moved: 1},
		},
		"Tranzzo lists our comment": {
			{subject: "tranzzo refund partial", sim: tranzzoSim(tranzzosim.Options{ShowComments: true}), faults: lost, ends: "succeeded", moved: 1},
			{subject: "tranzzo refund partial", sim: tranzzoSim(tranzzosim.Options{}), faults: lost, ends: "succeeded", moved: 1},
		},
		"Tranzzo refuses a second cancel": {
			{subject: "tranzzo cancel", sim: tranzzoSim(tranzzosim.Options{RefuseRepeats: true}), faults: []simulator.Fault{{Operation: "cancel", Mode: simulator.CutAfter, Times: 1}}, ends: "succeeded"},
		},
		"Tranzzo says nothing of an empty balance": {
			{subject: "tranzzo refund partial", faults: []simulator.Fault{{Operation: "refund", Mode: simulator.Decline, Code: "7777", Times: 1}}, ends: "failed", code: payment.CodeDeclined},
		},
		"Tranzzo writes amounts as text": {
			{subject: "tranzzo refund partial", sim: tranzzoSim(tranzzosim.Options{AmountsAsText: true}), faults: lost, ends: "succeeded", moved: 1},
		},
		"Tranzzo wants refund_amount as a number": {
			{subject: "tranzzo refund partial", between: numbersOnly, ends: "failed", code: payment.CodeProviderRejectedRequest},
			{subject: "tranzzo refund partial", between: numbersOnly, setting: simulator.Setting{Key: "amountForm", Value: "number"}, ends: "succeeded", moved: 1},
		},
		"Bento reads a transaction elsewhere": {
			{subject: "bento refund full", between: readsAt(http.StatusNotFound, `{"message":"Not Found"}`), ends: "deferred", code: payment.CodePaymentNotFound},
			{subject: "bento refund full", between: readsAt(http.StatusOK, `<html>`), ends: "deferred", code: payment.CodeOther},
		},
		"Bento grants tokens in another way": {
			{subject: "bento refund full", between: answering(bentosim.TokenPath, http.StatusBadRequest, `{"error":"unsupported_grant_type"}`), ends: "deferred"},
		},
		"Bento declines with HTTP 4xx": {
			{subject: "bento refund full", sim: bentoSim, faults: []simulator.Fault{{Operation: "refund", Mode: simulator.Decline, Times: 1}}, ends: "failed", code: payment.CodeDeclined},
		},
		"Openpay has another code for already refunded": {
			{subject: "openpay refund full", between: replacing("/payment/refund", `"code":32`, `"code":77`), faults: lost, ends: "reviewRequired", moved: 1},
		},
		"Openpay declines with HTTP 4xx": {
			{subject: "openpay refund full", between: refusing, faults: lost, ends: "succeeded", code: payment.CodeAlreadyRefunded, moved: 1},
		},
		"Openpay wants JSON": {
			{subject: "openpay refund full", between: jsonOnly, ends: "failed", code: payment.CodeProviderRejectedRequest},
			{subject: "openpay refund full", between: jsonOnly, setting: simulator.Setting{Key: "encoding", Value: "json"}, ends: "succeeded", moved: 1},
		},
		"Openpay has a status call": {
			{subject: "openpay refund full", sim: openpayWith(openpaysim.StatusParts), faults: lost, ends: "succeeded", code: payment.CodeAlreadyRefunded, moved: 1},
			{subject: "openpay refund partial", sim: openpayWith(openpaysim.StatusParts), faults: lost, setting: simulator.Setting{Key: "statusPath", Value: "/pw/v3/payment/status"}, ends: "succeeded", moved: 1},
		},
	}
}

func openpayWith(status openpaysim.StatusCall) func(*setup) simulator.Simulated {
	return func(b *setup) simulator.Simulated {
		s := openpaysim.New(openpaysim.Options{Now: b.clock.Now, PartialRefunds: true, Status: status})
		return simulator.Simulated{Handler: s, Base: s.Base}
	}
}

// answering answers requests to a path in the simulator's stead.
func answering(path string, status int, body string) middleman {
	return replying(func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, path) }, status, body)
}

// readsAt answers every read.
func readsAt(status int, body string) middleman {
	return replying(func(r *http.Request) bool { return r.Method == http.MethodGet }, status, body)
}

func replying(strikes func(*http.Request) bool, status int, body string) middleman {
	return func(h http.Handler, _ *simulator.Base) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strikes(r) {
				h.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
}

// replacing changes the answers of a path.
func replacing(path, from, to string) middleman {
	return changing(path, func(status int, body string) (int, string) { return status, strings.ReplaceAll(body, from, to) })
}

// refusing answers Openpay's declines with 400.
func refusing(h http.Handler, base *simulator.Base) http.Handler {
	return changing("/payment/refund", func(status int, body string) (int, string) {
		if strings.Contains(body, "DECLINED") {
			status = http.StatusBadRequest
		}
		return status, body
	})(h, base)
}

func changing(path string, change func(status int, body string) (int, string)) middleman {
	return func(h http.Handler, _ *simulator.Base) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, path) {
				h.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			status, body := change(answer.Code, answer.Body.String())
			maps.Copy(w.Header(), answer.Header())
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	}
}

// numbersOnly refuses a refund at Tranzzo whose amount is a text.
func numbersOnly(h http.Handler, base *simulator.Base) http.Handler {
	return picky(h, base, `"refund_amount":"`, `{"message":"Validation failed","args":[{"field_name":"refund_amount","violation":"number"}]}`, http.StatusBadRequest)
}

// jsonOnly refuses what is no JSON, as Openpay refuses a request without its fields.
func jsonOnly(h http.Handler, base *simulator.Base) http.Handler {
	return picky(h, base, "apiKey=", `{"status":"DECLINED","message":"The apiKey field is required.","code":188}`, http.StatusOK)
}

// picky refuses requests that hold a text.
func picky(h http.Handler, base *simulator.Base, text, refusal string, status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, err := io.ReadAll(r.Body)
		if err != nil {
			return // the caller has gone
		}
		body := string(all)
		r.Body = io.NopCloser(strings.NewReader(body))
		refuse := func(*http.Request) bool { return strings.Contains(body, text) }
		replying(refuse, status, refusal)(h, base).ServeHTTP(w, r)
	})
}

func TestAWrongAssumptionAboutAProviderEndsAsItsPageSays(t *testing.T) {
	t.Parallel()
	for name, cases := range assumptions() {
		for i, o := range cases {
			t.Run(fmt.Sprintf("%s %d", name, i+1), func(t *testing.T) {
				t.Parallel()
				o.play(t)
			})
		}
	}
}

// play carries one operation out, to its end, to a person, or to what it waits for.
func (o otherwise) play(t *testing.T) {
	t.Helper()
	b, s := newSetupBehind(t, o.between), named(o.subject)
	if o.sim != nil || o.setting.Key != "" {
		b.reopen(s, o)
	}
	base := b.seed(s)
	if err := base.Fault(o.faults...); err != nil {
		t.Fatal(err)
	}
	b.deliver(b.command(s.op, strings.Replace(s.data, `"payment":{`, `"payment":{`+o.more, 1)))
	state := func() (payment.Operation, string) {
		last, err := b.journal.Last(t.Context(), s.id)
		if err != nil {
			t.Fatal(err)
		}
		i := last.State.Find(s.op, key)
		if i < 0 {
			return payment.Operation{}, ""
		}
		op := last.State.Operations[i]
		if op.Open != nil && op.Open.Review != nil {
			return op, "reviewRequired"
		}
		return op, string(op.Status)
	}
	op, status := state()
	for timers := 0; timers < manyTimers && !op.Status.Terminal() && status != "reviewRequired" && status != "deferred"; timers++ {
		d, ok := b.next()
		if !ok {
			break
		}
		b.deliver(d)
		op, status = state()
	}
	if moved := base.Ledger().Count(string(payment.Refund), s.id.Native); status != o.ends || o.code != "" && op.Code != o.code || moved != o.moved {
		t.Errorf("ended %s (%s), money moved %d times; want %s (%s), %d times", status, op.Code, moved, o.ends, o.code, o.moved)
	}
}

// reopen puts the subject's instance in front of another simulator, or opens it with
// another setting.
func (b *setup) reopen(s subject, o otherwise) {
	b.t.Helper()
	i := slices.IndexFunc(b.instances, func(in providers.Instance) bool { return in.Name == s.id.Provider })
	k, _ := simulators.Find(b.instances[i].Kind)
	if o.setting.Key != "" {
		k.Account = append(slices.Clone(k.Account), o.setting)
	}
	sim := k.New(simulator.Manner{Now: b.clock.Now, Pace: simulator.AtOnce})
	if o.sim != nil {
		sim.Close()
		sim = o.sim(b)
	}
	a, err := simulators.Open(k, b.serve(sim, sim.Base), providers.NewClient(&providers.ClientOptions{Now: b.clock.Now}))
	if err != nil {
		b.t.Fatal(err)
	}
	b.bases[k.Instance] = sim.Base
	b.instances = slices.Clone(b.instances)
	b.instances[i].Provider, b.instances[i].Account = a, a.Account()
	b.handler = b.newHandler(b.journal, b.instances)
}

func TestTheProvidersPageSaysWhatAWrongAssumptionCosts(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## If an assumption is wrong\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var listed []string
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && !strings.HasPrefix(line, "|-") && !strings.HasPrefix(line, "| If") {
			listed = append(listed, strings.TrimSpace(cells[1]))
		}
	}
	tried := slices.Sorted(maps.Keys(assumptions()))
	slices.Sort(listed)
	if !slices.Equal(tried, listed) {
		t.Errorf("tried  %q\nlisted %q", tried, listed)
	}
}
