package tranzzo

// White-box: what a listing says of a payment is a pure table, and the tests
// walk its rows.

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// item is one listed operation; id names it, for a payment it is the payment_id.
type item struct{ id, method, status, amount, code, comment, mode string }

func (i item) json() string {
	fields := []string{fmt.Sprintf(`"order_id":"123","method":%q,"status":%q,"currency":"UAH"`, i.method, i.status)}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, fmt.Sprintf("%q:%q", name, value))
		}
	}
	add("amount", i.amount)
	add("status_code", i.code)
	add("comment", i.comment)
	if i.method == methodPurchase || i.method == methodAuth {
		add("payment_id", i.id)
		if i.mode == "" {
			i.mode = modeHosted
		}
	} else {
		add("operation_id", i.id)
	}
	add("mode", i.mode)
	return "{" + strings.Join(fields, ",") + "}"
}

func listing(items ...item) string {
	var texts []string
	for _, i := range items {
		texts = append(texts, i.json())
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func purchase(status string) item {
	return item{id: "p-1", method: methodPurchase, status: status, amount: "400.00"}
}

func auth(status string) item {
	return item{id: "p-1", method: methodAuth, status: status, amount: "400.00"}
}

func refund(id, status, amount string) item {
	return item{id: id, method: methodRefund, status: status, amount: amount}
}

func voided(id, status string) item {
	return item{id: id, method: methodVoid, status: status, amount: "400"}
}

func capture(status, amount string) item {
	return item{id: "c-1", method: methodCapture, status: status, amount: amount}
}

// readAll reads a listing as the adapter does.
func readAll(t *testing.T, r providers.Request, body string) (order, payment.Reading, bool) {
	t.Helper()
	list, ok := decodeList([]byte(body))
	if !ok {
		return order{}, payment.Reading{}, false
	}
	o, ok := readOrder(defaults(), r, list)
	if !ok {
		return order{}, payment.Reading{}, false
	}
	reading, ok := o.reading(defaults(), time.Time{})
	return o, reading, ok
}

func TestEveryRowOfTheReadingTable(t *testing.T) {
	t.Parallel()
	cancelledPayment := purchase("failure")
	cancelledPayment.code = "6007"
	direct := purchase("init")
	direct.mode = "direct"
	for _, row := range []struct {
		name               string
		items              []item
		status             payment.PaymentStatus
		captured, refunded *payment.Money
		movements          int
	}{
		{"unpaid", []item{purchase("init")}, payment.PaymentUnpaid, nil, nil, 0},
		{"unpaid, to be authorised", []item{auth("init")}, payment.PaymentUnpaid, nil, nil, 0},
		{"created, not on the hosted page", []item{direct}, payment.PaymentPending, nil, nil, 0},
		{"at the bank", []item{purchase("pending")}, payment.PaymentPending, nil, nil, 0},
		{"failed", []item{purchase("failure")}, payment.PaymentFailed, nil, nil, 0},
		{"cancelled", []item{cancelledPayment}, payment.PaymentCancelled, nil, nil, 0},
		{"paid", []item{purchase("success")}, payment.PaymentPaid, uah(40000), nil, 0},
		{"failed, then paid on the same page", []item{purchase("failure"), purchase("success")}, payment.PaymentPaid, uah(40000), nil, 0},
		{"failed, then tried again", []item{purchase("failure"), purchase("pending")}, payment.PaymentPending, nil, nil, 0},
		{"failed, page open", []item{purchase("failure"), purchase("init")}, payment.PaymentUnpaid, nil, nil, 0},
		{"authorised", []item{auth("success")}, payment.PaymentAuthorized, nil, nil, 0},
		{"authorised, a void failed", []item{auth("success"), voided("v", "failure")}, payment.PaymentAuthorized, nil, nil, 1},
		{"authorised, a capture failed", []item{auth("success"), capture("failure", "400")}, payment.PaymentAuthorized, nil, nil, 0},
		{"voided", []item{auth("success"), voided("v", "success")}, payment.PaymentCancelled, nil, nil, 1},
		{"being voided", []item{auth("success"), voided("v", "pending")}, payment.PaymentPending, nil, nil, 1},
		{"being captured", []item{auth("success"), capture("pending", "400")}, payment.PaymentPending, nil, nil, 0},
		{"captured", []item{auth("success"), capture("success", "400")}, payment.PaymentPaid, uah(40000), nil, 0},
		{"captured in part", []item{auth("success"), capture("success", "100.50")}, payment.PaymentPaid, uah(10050), nil, 0},
		{"captured, then refunded", []item{auth("success"), capture("success", "400"), refund("r", "success", "400")}, payment.PaymentRefunded, uah(40000), uah(40000), 1},
		{"refunded in part", []item{purchase("success"), refund("r", "success", "4")}, payment.PaymentPartiallyRefunded, uah(40000), uah(400), 1},
		{"refunded in parts, all of it", []item{purchase("success"), refund("r1", "success", "399.99"), refund("r2", "success", "0.01")}, payment.PaymentRefunded, uah(40000), uah(40000), 2},
		{"a refund under way", []item{purchase("success"), refund("r", "pending", "4")}, payment.PaymentPaid, uah(40000), nil, 1},
		{"a refund failed", []item{purchase("success"), refund("r", "failure", "4")}, payment.PaymentPaid, uah(40000), nil, 1},
		{"a method not known here", []item{purchase("success"), {id: "x", method: "lookup", status: "odd"}}, payment.PaymentPaid, uah(40000), nil, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			_, got, ok := readAll(t, fullRefund(), listing(row.items...))
			if !ok || !got.OK || got.Status != row.status || len(got.Movements) != row.movements {
				t.Fatalf("ok %v, %+v, want %s", ok, got, row.status)
			}
			if diff := cmp.Diff([]*payment.Money{row.captured, row.refunded}, []*payment.Money{got.Captured, got.Refunded}); diff != "" {
				t.Errorf("captured, refunded (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheMovementsAreTheProvidersOwnReferences(t *testing.T) {
	t.Parallel()
	_, got, _ := readAll(t, fullRefund(), listing(purchase("success"), refund("r-1", "success", "4"), refund("r-2", "failure", ""), voided("v-1", "failure")))
	want := []payment.Movement{{Reference: "r-1", Amount: uah(400)}, {Reference: "r-2"}, {Reference: "v-1", Amount: uah(40000)}}
	if diff := cmp.Diff(want, got.Movements); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingIsConcludedFromAListingThatIsNotUnderstood(t *testing.T) {
	t.Parallel()
	good := listing(purchase("success"), refund("r", "success", "4"))
	if _, _, ok := readAll(t, fullRefund(), good); !ok {
		t.Fatal("the listing to be spoilt is not read: the rows prove nothing")
	}
	spoil := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the listing", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, body := range map[string]string{
		"no array":                         purchase("success").json(),
		"null":                             "null",
		"cut short":                        good[:len(good)-1],
		"something behind":                 good + "1",
		"no payment at all":                listing(refund("r", "success", "4")),
		"another merchant":                 spoil(`"order_id":"123"`, `"order_id":"123","pos_id":"other"`),
		"another order":                    spoil(`"order_id":"123"`, `"order_id":"1234"`),
		"no order":                         spoil(`"order_id":"123",`, ``),
		"a status nobody listed":           spoil(`"status":"success"`, `"status":"reversed"`),
		"a refund's status nobody listed":  listing(purchase("success"), refund("r", "reversed", "4")),
		"a refund without a name":          listing(purchase("success"), refund("", "success", "4")),
		"a name as long as a page":         listing(purchase("success"), refund(strings.Repeat("r", 129), "success", "4")),
		"two refunds of one name":          listing(purchase("success"), refund("r", "success", "4"), refund("r", "success", "4")),
		"a refund and a void of one name":  listing(purchase("success"), refund("r", "success", "4"), voided("r", "failure")),
		"a refund without an amount":       listing(purchase("success"), refund("r", "success", "")),
		"a pending refund without one":     listing(purchase("success"), refund("r", "pending", "")),
		"an amount that is none":           listing(purchase("success"), refund("r", "success", "4,00")),
		"a failed refund of an odd amount": listing(purchase("success"), refund("r", "failure", "x")),
		"a payment without an amount":      spoil(`"amount":"400.00",`, ``),
		"two currencies":                   strings.Replace(good, `"status":"success","currency":"UAH","amount":"4"`, `"status":"success","currency":"USD","amount":"4"`, 1),
		"a refund of what was never paid":  listing(purchase("failure"), refund("r", "success", "4")),
		"the status twice":                 spoil(`"status":"success"`, `"status":"failure","status":"success"`),
		"more than can be counted":         listing(item{id: "p-1", method: methodPurchase, status: "success", amount: "90071992547409.92"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, reading, ok := readAll(t, fullRefund(), body); ok {
				t.Errorf("read as %+v", reading)
			}
		})
	}
}
