package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/bento"
)

// bentoWith is an instance with the given lines from line 6 on.
func bentoWith(lines string) string {
	return `providers:
  - name: bento-uk
    kind: bento
    baseURL: https://api.bento.example
    account: shop-uk
` + lines
}

func TestBentosKeysArrive(t *testing.T) {
	t.Parallel()
	token := write(t, "token", "hush-token\n")
	for lines, want := range map[string]bento.Settings{
		"    token: {file: " + token + "}\n": {Token: providers.NewSecret("hush-token")},
		"    tokenURL: https://id.bento.example/token\n    clientID: shop\n    clientSecret: {env: NATS_CREDENTIALS}\n    tokenAuth: basic\n" +
			"    cancelPath: /v2/{transactionId}/_cancel\n    readPath: /v2/{transactionId}\n": {
			TokenURL: "https://id.bento.example/token", ClientID: "shop", ClientSecret: providers.NewSecret("hush-nats"),
			TokenAuth: "basic", CancelPath: "/v2/{transactionId}/_cancel", ReadPath: "/v2/{transactionId}",
		},
	} {
		got, err := config.Load(write(t, "c.yaml", bentoWith(lines)), environment)
		if err != nil {
			t.Fatal(err)
		}
		want.BaseURL, want.Account = "https://api.bento.example", "shop-uk"
		if diff := cmp.Diff(&want, got.Providers[0].Settings, secrets()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestBentoIsGivenExactlyOneWayToAuthenticate(t *testing.T) {
	t.Parallel()
	const url, id, secret = "    tokenURL: https://id.bento.example\n", "    clientID: shop\n", "    clientSecret: {env: NATS_CREDENTIALS}\n"
	const token = "    token: {env: NATS_CREDENTIALS}\n"
	for name, tc := range map[string]struct {
		lines string
		want  []found
	}{
		"a token":              {token, nil},
		"a client":             {url + id + secret, nil},
		"none":                 {"", []found{{2, "providers[0].token", "required unless there is a tokenURL"}}},
		"both":                 {token + url + id + secret, []found{{6, "providers[0].token", "not be given together with tokenURL"}}},
		"a client half":        {url + id, []found{{2, "providers[0].clientSecret", "required together with tokenURL"}}},
		"a client's secret":    {token + secret, []found{{7, "providers[0].clientSecret", "only together with tokenURL"}}},
		"an unsafe address":    {"    tokenURL: http://id.bento.example\n" + id + secret, []found{{6, "providers[0].tokenURL", "must be https"}}},
		"an unknown way":       {token + "    tokenAuth: jwt\n", []found{{7, "providers[0].tokenAuth", "one of body, basic"}}},
		"a path of no root":    {token + "    readPath: v2\n", []found{{7, "providers[0].readPath", "start with /"}}},
		"a secret in the file": {"    token: " + hush + "\n", []found{{6, "providers[0].token", "is a secret"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, load(t, bentoWith(tc.lines)), tc.want...)
		})
	}
}
