package console

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/countermand/countermand/desk"
	"github.com/countermand/countermand/events"
	"github.com/countermand/countermand/payment"
)

// storyData is the page of a payment.
type storyData struct {
	Story *desk.Story
	// Fault says why the request was not carried out; Notice says what was done.
	Fault, Notice string
	// Form is what the operator typed, to be corrected; Of names its operation.
	Form form
	// Reply is the provider's answer about the operation that Of names.
	Reply    *desk.Reply
	Operator bool
}

// For joins an operation with the form and the reply that are about it.
func (d storyData) For(op desk.Operation) operationData {
	o := operationData{Operation: op, Page: d}
	if op.Operation == d.Form.Operation && op.Key == d.Form.Key {
		o.Form, o.Reply = d.Form, d.Reply
	}
	return o
}

// operationData is an operation on the page of a payment.
type operationData struct {
	desk.Operation

	Page  storyData
	Form  form
	Reply *desk.Reply
}

// ID is the HTML id of the operation.
func (o operationData) ID() string { return string(o.Operation.Operation) + "-" + o.Key.Hash()[:12] }

// Open reports whether an operator can still decide about the operation.
func (o operationData) Open() bool { return len(o.Choices) > 0 }

// MovedGuess is the most likely amount that moved: the amount that was asked for.
func (o operationData) MovedGuess() string {
	if o.Form.Moved != "" || o.AtRisk == nil {
		return o.Form.Moved
	}
	return o.AtRisk.Text()
}

// Confirm is the amount that a retry requires the operator to type; empty: none.
func (o operationData) Confirm() string {
	for _, c := range o.Choices {
		if c.Confirm != nil {
			return c.Confirm.Text()
		}
	}
	return ""
}

// NeedsMoved reports whether a success requires the amount that moved.
func (o operationData) NeedsMoved() bool {
	for _, c := range o.Choices {
		if c.NeedsMoved {
			return true
		}
	}
	return false
}

// Effects are the effects that the operator can choose for a success; none if
// there is no choice.
func (o operationData) Effects() []payment.Effect {
	for _, c := range o.Choices {
		if len(c.Effects) > 0 {
			return c.Effects
		}
	}
	return nil
}

// form is what the operator typed.
type form struct {
	Operation                      payment.Op
	Key                            payment.Key
	As                             desk.As
	Reason, Evidence               string
	Effect                         payment.Effect
	Moved, Reference, ConfirmTyped string
	Version                        uint64
	Seen                           time.Time
}

// readForm reads the form of a request.
func readForm(r *http.Request) form {
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	f := form{
		Operation: payment.Op(text("operation")), Key: payment.Key(text("key")), As: desk.As(text("as")),
		Reason: text("reason"), Evidence: text("evidence"), Effect: payment.Effect(text("effect")), Reference: text("reference"),
		Moved: r.PostFormValue("moved"), ConfirmTyped: r.PostFormValue("confirm"), // as typed: there is one way to write an amount
	}
	f.Version, _ = strconv.ParseUint(text("version"), 10, 64) // the desk refuses 0
	f.Seen, _ = time.Parse(time.RFC3339Nano, text("seen"))    // the desk refuses the zero time
	return f
}

// ruling makes the form a ruling.
func (f form) ruling(id payment.ID) (desk.Ruling, error) {
	r := desk.Ruling{
		Provider: id.Provider, Payment: id.Native, Operation: f.Operation, Key: f.Key, Version: f.Version, Seen: f.Seen,
		As: f.As, Reason: f.Reason, Evidence: f.Evidence,
	}
	if f.As == desk.AsSucceeded && len(f.Operation.Effects()) > 1 {
		r.Effect = f.Effect
	}
	if f.As == desk.AsSucceeded && (f.Operation.GivesBack() || f.Effect == payment.EffectRefunded) {
		moved, err := payment.ParseMoney(f.Moved)
		if err != nil {
			return r, err
		}
		r.Moved, r.ProviderReference = &moved, f.Reference
	}
	if f.As != desk.AsFailed && f.ConfirmTyped != "" {
		typed, err := payment.ParseMoney(f.ConfirmTyped)
		if err != nil {
			return r, err
		}
		r.ConfirmAmount = &typed
	}
	return r, nil
}

// pathID is the payment that the path names.
func pathID(r *http.Request) (payment.ID, bool) {
	native, err := events.ParseToken(r.PathValue("payment"))
	id := payment.ID{Provider: r.PathValue("provider"), Native: native}
	if err == nil {
		_, err = events.Filter(id)
	}
	return id, err == nil
}

// payment shows the story of a payment.
func (c *Console) payment(w http.ResponseWriter, r *http.Request) {
	d := storyData{}
	switch r.FormValue("done") {
	case "applied":
		d.Notice = "Your ruling is in the journal; the result has gone out to the ledgers like any other."
	case "retried":
		d.Notice = "Your ruling is in the journal, and the provider has been called again."
	case "waits":
		d.Notice = "Your ruling is recorded. It takes effect when another person rules the same."
	}
	c.tell(w, r, http.StatusOK, d)
}

// tell shows the page. It reads the story if d has none.
func (c *Console) tell(w http.ResponseWriter, r *http.Request, status int, d storyData) {
	if d.Story == nil {
		var ok bool
		if d.Story, ok = c.story(w, r); !ok {
			return
		}
	}
	d.Operator = visiting(r).operator
	c.show(w, r, page{Name: "payment", Title: "Payment " + d.Story.Payment, Status: status, Data: d})
}

// story reads the payment of a page. If it cannot, it answers the request itself.
func (c *Console) story(w http.ResponseWriter, r *http.Request) (*desk.Story, bool) {
	id, ok := pathID(r)
	if !ok {
		c.fail(w, r, http.StatusNotFound, "There is no such payment.")
		return nil, false
	}
	var s *desk.Story
	err := c.within(r, paymentFor, "read the payment", func(ctx context.Context) (err error) {
		s, err = c.desk.Payment(ctx, id)
		return err
	})
	if err != nil {
		status, _ := refusal(err)
		c.fail(w, r, status, c.said("read a payment", err))
		return nil, false
	}
	return s, true
}

// ask asks the provider now. It reads the story first, because the page must not
// show a state of the journal that is younger than the provider's answer.
func (c *Console) ask(w http.ResponseWriter, r *http.Request) {
	s, ok := c.story(w, r)
	if !ok {
		return
	}
	d := storyData{Story: s, Form: form{Operation: payment.Op(r.PostFormValue("operation")), Key: payment.Key(r.PostFormValue("key"))}}
	status := http.StatusOK
	var err error
	ctx, cancel := context.WithTimeout(r.Context(), decideFor)
	defer cancel()
	d.Reply, err = c.desk.Ask(ctx, operator(r), payment.ID{Provider: s.Provider, Native: s.Payment}, d.Form.Operation, d.Form.Key)
	if err != nil {
		d.Fault = c.said("ask a provider", err)
		status, _ = refusal(err)
	}
	c.tell(w, r, status, d)
}

// resolve passes a ruling to the desk. If the desk refuses it, the page shows the
// payment as it is now, with the form to correct. If the payment has changed since
// the operator saw it, the operator must choose again.
func (c *Console) resolve(w http.ResponseWriter, r *http.Request) {
	s, ok := c.story(w, r)
	if !ok {
		return
	}
	d := storyData{Story: s, Form: readForm(r)}
	op := s.Find(d.Form.Operation, d.Form.Key)
	if op == nil {
		c.fail(w, r, http.StatusNotFound, "The payment has no such operation.")
		return
	}
	ruling, err := d.Form.ruling(payment.ID{Provider: s.Provider, Native: s.Payment})
	var done desk.Done
	if err == nil {
		ctx, cancel := context.WithTimeout(r.Context(), decideFor)
		defer cancel()
		done, err = c.desk.Resolve(ctx, operator(r), ruling)
	}
	if err == nil {
		http.Redirect(w, r, paymentLink(s.Provider, s.Payment)+"?done="+outcome(ruling, done), http.StatusSeeOther)
		return
	}
	status, now := refusal(err)
	d.Fault = c.said("carry out a ruling", err)
	if now != nil {
		d.Story = now
	}
	if d.Story.Version != d.Form.Version {
		d.Form.As, d.Form.ConfirmTyped = "", ""
	}
	c.tell(w, r, status, d)
}

func outcome(r desk.Ruling, d desk.Done) string {
	switch {
	case d.AwaitsSecond:
		return "waits"
	case r.As == desk.AsRetry:
		return "retried"
	default:
		return "applied"
	}
}

// operator is the visitor as the desk knows operators.
func operator(r *http.Request) desk.Operator {
	v := visiting(r)
	return desk.Operator{Name: v.name, Identity: v.identity}
}

// refusal is the HTTP status for an error of the desk, and the payment as it is
// now if the error says it.
func refusal(err error) (status int, now *desk.Story) {
	if _, ok := errors.AsType[*payment.WrittenError](err); ok {
		return http.StatusUnprocessableEntity, nil
	}
	no, ok := errors.AsType[*desk.Error](err)
	if !ok {
		return http.StatusInternalServerError, nil
	}
	status = map[desk.Fault]int{
		desk.FaultInvalid: http.StatusUnprocessableEntity, desk.FaultNotFound: http.StatusNotFound,
		desk.FaultStale: http.StatusConflict, desk.FaultRefused: http.StatusConflict, desk.FaultUnderWay: http.StatusConflict,
		desk.FaultForbidden: http.StatusForbidden, desk.FaultUnavailable: http.StatusServiceUnavailable,
		desk.FaultUnknown: http.StatusBadGateway,
	}[no.Fault]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	return status, no.Now
}
