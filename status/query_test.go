package status_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/status"
)

func TestARequestArrivesWithAllItsFields(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]status.Query{
		`{"provider":"opay-eg","payment":"1001000"}`:                                               {Provider: "opay-eg", Payment: "1001000"},
		` {"provider":"p","payment":"a\/b","operation":"cancel","idempotencyKey":"k\u00231"} `:     {Provider: "p", Payment: "a/b", Operation: payment.Cancel, Key: "k#1"},
		`{"commandId":"Zoë 1","commandSource":"/s"}`:                                               {CommandID: "Zoë 1", CommandSource: "/s"},
		`{"provider":"p","payment":"1","commandId":"e","commandSource":"https://shop/a?b"}` + "\n": {Provider: "p", Payment: "1", CommandID: "e", CommandSource: "https://shop/a?b"},
	} {
		got, faults := status.DecodeQuery([]byte(raw))
		if diff := cmp.Diff(want, got); diff != "" || len(faults) > 0 {
			t.Errorf("%s: %v (-want +got):\n%s", raw, faults, diff)
		}
	}
}

// What no schema sees. The rest is compared with the schema in package schemas.
func TestARequestThatIsNoOneJSONObjectIsRefused(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]payment.Fault{
		"":                                  {Rule: "json"},
		"{":                                 {Rule: "json"},
		`{"provider"`:                       {Rule: "json"},
		`{"provider":"p","payment":"1",}`:   {Rule: "json"},
		`{"provider":"p","payment":"1"} {}`: {Rule: "json", Detail: "one value and nothing behind it"},
		`{"provider":"p","payment":"1"} x`:  {Rule: "json", Detail: "one value and nothing behind it"},
		"\xef\xbb\xbf{}":                    {Rule: "json"},
		`{"provider":"p","payment":"` + "\xff" + `"}`: {Rule: "json"},
		`{"provider":"p","payment":"\ud800"}`:         {Rule: "json"},
		"null":                                        {Rule: "type", Detail: "an object"},
		"[]":                                          {Rule: "type", Detail: "an object"},
		`"x"`:                                         {Rule: "type", Detail: "an object"},
		`{"provider":"p","payment":"1","payment":"1"}`:                    {Pointer: "/payment", Rule: "duplicate"},
		`{"provider":"p","payment":"1","Payment":"1"}`:                    {Pointer: "/Payment", Rule: "unknown"},
		`{"provider":"p","payment":"1","a/b~c":{"d":[]}}`:                 {Pointer: "/a~1b~0c", Rule: "unknown"},
		`{"provider":"p","payment":"1","4111111111111111":1}`:             {Pointer: "/" + maskedCard, Rule: "unknown"},
		`{"provider":"p","payment":"1"` + strings.Repeat(" ", 8192) + `}`: {Rule: "max", Detail: "at most 8192 bytes"},
	} {
		_, faults := status.DecodeQuery([]byte(raw))
		if diff := cmp.Diff([]payment.Fault{want}, faults); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", raw, diff)
		}
	}
}

// maskedCard is a card number as events.Mask leaves it.
const maskedCard = "****************"

func TestAThousandFaultsAreToldShortly(t *testing.T) {
	t.Parallel()
	raw := `{"` + strings.Repeat(`x":1,"`, 900) + `y":1}`
	_, faults := status.DecodeQuery([]byte(raw))
	if len(faults) == 0 || len(faults) > 20 {
		t.Errorf("%d faults", len(faults))
	}
}

func FuzzARequestIsTakenWholeOrRefusedWithFaults(f *testing.F) {
	for _, raw := range []string{`{"provider":"opay-eg","payment":"1"}`, `{"commandId":"e","commandSource":"/s","x":[{"y":null}]}`, `[`, `{"provider":"p","operation":7}`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, faults := status.DecodeQuery(raw)
		if len(faults) > 0 {
			return
		}
		var said map[string]string
		if err := json.Unmarshal(raw, &said); err != nil {
			t.Fatalf("%q is taken: %v", raw, err)
		}
		want := status.Query{
			Provider: said["provider"], Payment: said["payment"], Operation: payment.Op(said["operation"]),
			Key: payment.Key(said["idempotencyKey"]), CommandID: said["commandId"], CommandSource: said["commandSource"],
		}
		if q != want || q.Payment == "" && q.CommandID == "" {
			t.Fatalf("%q is read as %+v", raw, q)
		}
	})
}
