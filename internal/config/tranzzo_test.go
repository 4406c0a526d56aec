package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/tranzzo"
)

// tranzzoWith is a good instance of the documented keys with the given lines
// from line 10 on.
func tranzzoWith(lines string) string {
	return `providers:
  - name: tranzzo-ua
    kind: tranzzo
    baseURL: https://cpay.tranzzo.example
    posID: dc728de1
    endpointsKey: {env: NATS_CREDENTIALS}
    apiKey: {env: NATS_CREDENTIALS}
    apiSecret: {env: NATS_CREDENTIALS}
    currency: UAH
` + lines
}

func TestTranzzosKeysArrive(t *testing.T) {
	t.Parallel()
	hush := providers.NewSecret("hush-nats")
	documented := tranzzo.Settings{
		BaseURL: "https://cpay.tranzzo.example", PosID: "dc728de1", EndpointsKey: hush, APIKey: hush, APISecret: hush, Currency: "UAH",
	}
	every := documented
	every.CallbackURL = "https://pay.example/notifications/tranzzo-ua"
	every.AmountForm, every.MaxOrderID = "number", 32
	every.CancelledCodes, every.BalanceCodes, every.FailureStatuses = []string{"6007"}, []string{"3001"}, []string{"failure", "rejected"}
	every.Paths = tranzzo.Paths{Cancel: "/v2/{orderId}/stop", Orders: "/v2/{orderId}", Void: "/v2/free", Refund: "/v2/back"}
	for lines, want := range map[string]tranzzo.Settings{
		"": documented,
		"    callbackURL: https://pay.example/notifications/tranzzo-ua\n    amountForm: number\n    maxOrderID: 32\n    cancelledCodes: [\"6007\"]\n    balanceCodes: [\"3001\"]\n    failureStatuses: [failure, rejected]\n" +
			"    paths: {cancel: \"/v2/{orderId}/stop\", orders: \"/v2/{orderId}\", void: /v2/free, refund: /v2/back}\n": every,
	} {
		got, err := config.Load(write(t, "c.yaml", tranzzoWith(lines)), environment)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got.Providers[0].Settings, secrets()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got.Providers[0].Currency != "UAH" {
			t.Errorf("the instance's currency is %q", got.Providers[0].Currency)
		}
		if _, err := tranzzo.New(want, providers.NewClient(nil)); err != nil {
			t.Error(err)
		}
	}
}

func TestTranzzosRulesAreChecked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lines string
		want  []found
	}{
		"an unknown form":      {"    amountForm: float\n", []found{{10, "providers[0].amountForm", "one of string, number"}}},
		"too long an order":    {"    maxOrderID: 65\n", []found{{10, "providers[0].maxOrderID", "at most 64"}}},
		"a length of less":     {"    maxOrderID: -1\n", []found{{10, "providers[0].maxOrderID", "at least 1"}}},
		"a code that is none":  {"    cancelledCodes: [\"\"]\n", []found{{10, "providers[0].cancelledCodes[0]", "required"}}},
		"a code as a number":   {"    balanceCodes: [3001]\n", []found{{10, "providers[0].balanceCodes[0]", "must be text"}}},
		"a path of no root":    {"    paths: {void: v2}\n", []found{{10, "providers[0].paths.void", "start with /"}}},
		"a misspelt key":       {"    endpointKey: {env: NATS_CREDENTIALS}\n", []found{{10, "providers[0].endpointKey", "did you mean endpointsKey"}}},
		"a secret in the file": {"    apisecret: " + hush + "\n", []found{{10, "providers[0].apisecret", "did you mean apiSecret"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, load(t, tranzzoWith(tc.lines)), tc.want...)
		})
	}
	bare := "providers:\n  - {name: tranzzo-ua, kind: tranzzo}\n"
	check(t, load(t, bare),
		found{2, "providers[0].apiKey", "required"}, found{2, "providers[0].apiSecret", "required"}, found{2, "providers[0].baseURL", "required"},
		found{2, "providers[0].endpointsKey", "required"}, found{2, "providers[0].posID", "required"})
}
