package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/config"
)

// hush stands wherever a credential could be pasted by mistake; it must never
// come back in an error.
const hush = "HUSHhush123"

// found is a fault as the tables below write it.
type found struct {
	Line int
	Key  string
	Rule string // a part of it
}

// load returns the faults of a file, and fails the test if they leak.
func load(t *testing.T, content string) []config.Fault {
	t.Helper()
	_, err := config.Load(write(t, "c.yaml", content), environment)
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "HUSH") {
		t.Errorf("the error holds a value of the file: %v", err)
	}
	var faults *config.FaultsError
	if !errors.As(err, &faults) {
		t.Fatalf("error is %v, want a FaultsError", err)
	}
	return faults.Faults
}

// check compares faults with what a table wants of them.
func check(t *testing.T, got []config.Fault, want ...found) {
	t.Helper()
	var have []found
	for i, f := range got {
		rule := f.Rule
		if i < len(want) && strings.Contains(rule, want[i].Rule) {
			rule = want[i].Rule
		}
		have = append(have, found{f.Line, f.Key, rule})
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

// good is a whole valid file of one instance; line 2 is free for a further
// top-level key, the instance starts in line 4 and may be added to.
const good = `concurrency: 8
%s
providers:
  - name: opay-eg
    kind: opay
    baseURL: https://api.opaycheckout.com
    merchantID: "256612345678901"
    secretKey: {env: OPENPAY_KEY}
    callbackURL: https://shop.example/opay
%s
`

func TestAFaultNamesItsLineKeyAndRule(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		top, instance string
		want          found
	}{
		"unknown key":               {"consumr: x", "", found{2, "consumr", "did you mean consumer?"}},
		"key in another case":       {"Consumer: x", "", found{2, "Consumer", "did you mean consumer?"}},
		"key like no other":         {"warp: x", "", found{2, "warp", "is unknown"}},
		"unknown nested key":        {"nats: {ulr: nats://a:1}", "", found{2, "nats.ulr", "did you mean url?"}},
		"unknown key of the kind":   {"", "    merchantId: x", found{10, "providers[0].merchantId", "did you mean merchantID?"}},
		"key of another kind":       {"", "    partialRefunds: true", found{10, "providers[0].partialRefunds", "is unknown"}},
		"repeated key":              {"concurrency: 9", "", found{2, "concurrency", "second time"}},
		"mapping expected":          {"nats: " + hush, "", found{2, "nats", "must be a mapping"}},
		"text expected":             {"consumer: 12", "", found{2, "consumer", "quotes"}},
		"number expected":           {`nats: {replicas: "3"}`, "", found{2, "nats.replicas", "whole number"}},
		"fraction for whole number": {"nats: {replicas: 3.5}", "", found{2, "nats.replicas", "whole number"}},
		"number too large":          {"nats: {replicas: 99999999999999999999}", "", found{2, "nats.replicas", "whole number"}},
		"list expected":             {"", "    currencies: EGP", found{10, "providers[0].currencies", "must be a list"}},
		"value not in the list":     {"nats: {replicas: 4}", "", found{2, "nats.replicas", "must be one of 1, 3, 5"}},
		"mode nobody knows":         {"results: {mode: batch}", "", found{2, "results.mode", "must be one of structured, binary"}},
		"address without a port":    {"admin: {listen: localhost}", "", found{2, "admin.listen", "with a port"}},
		"wildcard in a stream":      {"streams: {due: 'A.*'}", "", found{2, "streams.due", "letters, digits"}},
		"one stream twice":          {"streams: {due: PAYMENT_EVENTS}", "", found{2, "streams.due", "same stream as events"}},
		"server without a scheme":   {"nats: {url: 127.0.0.1:4222}", "", found{2, "nats.url", "nats, tls, ws or wss"}},
		"password in the server":    {"nats: {url: 'nats://u:" + hush + "@h:1'}", "", found{2, "nats.url", "without user and password"}},
		"certificate without key":   {"nats: {tls: {cert: testdata/good.yaml}}", "", found{2, "nats.tls.key", "together with cert"}},
		"file that does not exist":  {"nats: {tls: {ca: /" + hush + "}}", "", found{2, "nats.tls.ca", "file that exists"}},
		"collector without scheme":  {"tracing: {endpoint: 'collector:4318'}", "", found{2, "tracing.endpoint", "http or https"}},
		"password of a collector":   {"tracing: {endpoint: 'https://u:" + hush + "@h:1'}", "", found{2, "tracing.endpoint", "user, password"}},
		"notifications and admin":   {"admin: {listen: '127.0.0.1:9191'}\nnotifications: {listen: '0.0.0.0:9191'}", "", found{3, "notifications.listen", "another port"}},
		"notifications, default":    {"notifications: {listen: ':9090'}", "", found{2, "notifications.listen", "another port"}},
		"notifications, no port":    {"notifications: {listen: 127.0.0.1}", "", found{2, "notifications.listen", "address with a port"}},
		"notifications, no size":    {"notifications: {maxBody: 0}", "", found{2, "notifications.maxBody", "at least 1024"}},
		"notifications, no rate":    {"notifications: {ratePerSecond: 0}", "", found{2, "notifications.ratePerSecond", "at least 0.1"}},
		"notifications, no age":     {"notifications: {maxAge: 1s}", "", found{2, "notifications.maxAge", "at least"}},
		"notifications, no memory":  {"notifications: {remember: 0}", "", found{2, "notifications.remember", "at least 1"}},
		"a look at once":            {"lateLook: {after: 1s}", "", found{2, "lateLook.after", "at least 1m"}},
		"share above all":           {"tracing: {sample: 1.5}", "", found{2, "tracing.sample", "at most 1"}},
		"two ways to log in": {
			"nats: {credentials: {env: NATS_CREDENTIALS}, nkey: {env: OPENPAY_KEY}}", "",
			found{2, "nats.nkey", "together with credentials"},
		},
		"anchor":                   {"consumer: &a x", "", found{2, "consumer", "anchors"}},
		"tag":                      {"consumer: !!binary aGk=", "", found{2, "consumer", "tags"}},
		"concurrency of none":      {"admin: {listen: ':1'}\nconcurrency: 0", "", found{3, "concurrency", "second time"}},
		"http over the network":    {"", "    baseURL: http://10.0.0.1", found{10, "providers[0].baseURL", "second time"}},
		"duration without a unit":  {"", "    timeout: 10", found{10, "providers[0].timeout", "duration"}},
		"duration of nobody":       {"", "    timeout: ten", found{10, "providers[0].timeout", "duration"}},
		"duration below its bound": {"", "    timeout: 1ms", found{10, "providers[0].timeout", "at least 100ms"}},
		"longest below shortest":   {"", "    poll: {initial: 1m, max: 1s}", found{10, "providers[0].poll.max", "not be less than initial"}},
		"giving up before waiting": {"", "    retry: {giveUpAfter: 1m}", found{10, "providers[0].retry.giveUpAfter", "not be less than max"}},
		"negative rate":            {"", "    rateLimit: -1", found{10, "providers[0].rateLimit", "at least 0"}},
		"no calls at once":         {"", "    maxConcurrent: 0", found{10, "providers[0].maxConcurrent", "at least 1"}},
		"misspelt currency":        {"", "    currencies: [BGN, BGM]", found{10, "providers[0].currencies[1]", "a currency of ISO 4217"}},
		"currency in small":        {"", "    currency: egp", found{10, "providers[0].currency", "a currency of ISO 4217"}},
		"a currency twice":         {"", "    currencies: [EGP, EGP]", found{10, "providers[0].currencies", "nothing twice"}},
		"no such country":          {"", "    country: EGY", found{10, "providers[0].country", "ISO 3166-1"}},
		"number for a code":        {"", "    duplicateCodes: [2004]", found{10, "providers[0].duplicateCodes[0]", "quotes"}},
		"path without a slash":     {"", "    paths: {refund: refund}", found{10, "providers[0].paths.refund", "start with /"}},
		"setting of the kind":      {"", "    refundRepeat: harmless", found{10, "providers[0].refundRepeat", "one of refused, unsafe"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, load(t, fmt.Sprintf(good, tc.top, tc.instance)), tc.want)
		})
	}
}

func TestAnInstanceIsCheckedAsAWhole(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		want []found
	}{
		"no providers at all": {"consumer: x\n", []found{{1, "providers", "required"}}},
		"an empty file":       {"", []found{{1, "providers", "required"}}},
		"an empty list":       {"consumer: x\nproviders: []\n", []found{{2, "providers", "required"}}},
		"an empty entry":      {"providers:\n  -\n", []found{{2, "providers[0]", "must be a mapping"}}},
		"no list":             {"providers: {name: a}\n", []found{{1, "providers", "must be a list"}}},
		"no kind": {"providers:\n  - name: a\n    baseURL: https://a.example\n    secretKey: HUSH\n", []found{
			{2, "providers[0].kind", "one of opay, tranzzo"},
		}},
		"unknown kind": {"providers:\n  - name: a\n    kind: opay2\n    baseURL: https://a.example\n", []found{
			{3, "providers[0].kind", "one of opay, tranzzo"},
		}},
		"all required keys missing": {"providers:\n  - {kind: openpay}\n", []found{
			{2, "providers[0].account", "required"},
			{2, "providers[0].apiKey", "required"},
			{2, "providers[0].baseURL", "required"},
			{2, "providers[0].name", "required"},
		}},
		"a name twice": {openpayWith("{env: OPENPAY_KEY}") + strings.Replace(openpayWith("{env: OPENPAY_KEY}"), "providers:\n", "", 1), []found{
			{7, "providers[1].name", "name of providers[0]"},
		}},
		"a name that is no subject token": {strings.Replace(openpayWith("{env: OPENPAY_KEY}"), "openpay-eu", "Openpay.EU", 1), []found{
			{2, "providers[0].name", "small letters"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, load(t, tc.file), tc.want...)
		})
	}
}

func TestAnAddressIsHTTPSOrLoopback(t *testing.T) {
	t.Parallel()
	for address, rule := range map[string]string{
		"https://api.example":              "",
		"https://api.example:8443/prefix":  "",
		"http://127.0.0.1:8081/openpay":    "",
		"http://[::1]:8081":                "",
		"http://localhost:8081":            "",
		"http://api.example":               "must be https",
		"http://127.0.0.1.evil.example":    "must be https",
		"http://localhost.evil.example":    "must be https",
		"http://0.0.0.0:80":                "must be https",
		"ftp://api.example":                "must be https",
		"api.example":                      "scheme and host",
		"https:///path":                    "scheme and host",
		"https://u:" + hush + "@a.example": "user or password",
		"https://a.example?key=" + hush:    "query",
		"https://a.example#" + hush:        "fragment",
	} {
		file := strings.Replace(openpayWith("{env: OPENPAY_KEY}"), "https://api.openpay.example", "'"+address+"'", 1)
		if got := load(t, file); rule == "" {
			check(t, got)
		} else {
			check(t, got, found{4, "providers[0].baseURL", rule})
		}
	}
}

func TestASecretInTheFileIsRefusedAndNeverRepeated(t *testing.T) {
	t.Parallel()
	const inline, unset, unreadable = "is a secret", "not set", "cannot be read"
	for _, tc := range []struct{ written, rule string }{
		{hush, inline},
		{`"` + hush + `"`, inline},
		{"12345", inline},
		{"true", inline},
		{"[" + hush + "]", inline},
		{"{" + hush + "}", inline},
		{"{" + hush + ": x}", inline},
		{"{value: " + hush + "}", inline},
		{"{env: OPENPAY_KEY, file: /" + hush + "}", inline},
		{"{env: OPENPAY_KEY, " + hush + ": x}", inline},
		{"{env: [" + hush + "]}", inline},
		{"{env: }", inline},
		{"{}", inline},
		{"|\n      " + hush, inline},
		{"{env: " + hush + "}", unset},
		{"{file: /nowhere/" + hush + "}", unreadable},
		{"{file: /}", unreadable},
		{"&" + hush + " x", "anchors"},
		{"!" + hush + " x", "tags"},
		{"", "is required"},
		{"null", "is required"},
	} {
		check(t, load(t, openpayWith(tc.written)), found{6, "providers[0].apiKey", tc.rule})
	}
	check(t, load(t, openpayWith("{file: "+write(t, "empty", "\n")+"}")), found{6, "providers[0].apiKey", "empty file"})
}

func TestASyntaxErrorNamesTheLineAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"unclosed quote":     "consumer: x\nsource: \"" + hush + "\n",
		"unclosed mapping":   "consumer: x\nnats: {url: " + hush + "\n",
		"missing colon":      "consumer: x\n" + hush + "\n",
		"value in the wrong": "consumer: x\n  apiKey: " + hush + "\n",
		"tab":                "consumer: x\nnats:\n\turl: " + hush + "\n",
		"alias to nowhere":   "consumer: x\nsource: *" + hush + "\n",
		"two documents":      "consumer: x\n---\nsource: " + hush + "\n",
		"text only":          hush,
		"key of its own":     "? " + hush + "\n: x\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := load(t, file)
			if len(got) == 0 {
				t.Fatal("the file was accepted")
			}
			if got[0].Line < 1 {
				t.Errorf("the first fault has no line: %v", got[0])
			}
		})
	}
}

func TestAllFaultsComeAtOnceInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	file := `natz: {}
concurrency: 0
results: {mode: batch}
providers:
  - name: Bad
    kind: opay
    baseURL: http://api.example
    merchantID: 256612345678901
    secretKey: ` + hush + `
    timeout: 10
    callbackURL: https://shop.example
    nonsense: 1
  - {name: other, kind: bitcoin}
`
	got := load(t, file)
	check(t, got,
		found{1, "natz", "did you mean nats?"},
		found{2, "concurrency", "at least 1"},
		found{3, "results.mode", "one of"},
		found{5, "providers[0].name", "small letters"},
		found{7, "providers[0].baseURL", "https"},
		found{8, "providers[0].merchantID", "quotes"},
		found{9, "providers[0].secretKey", "is a secret"},
		found{10, "providers[0].timeout", "duration"},
		found{12, "providers[0].nonsense", "is unknown"},
		found{13, "providers[1].baseURL", "required"},
		found{13, "providers[1].kind", "one of"},
	)
	err := &config.FaultsError{Faults: got}
	if want := "c.yaml:9: providers[0].secretKey: is a secret: give it as"; !strings.Contains(err.Error(), want) {
		t.Errorf("the error's text lacks %q:\n%v", want, err)
	}
}

func FuzzLoadNeitherPanicsNorRepeatsTheFile(f *testing.F) {
	f.Add(openpayWith(hush))
	f.Add("nats: {url: HUSHx}\nproviders: [{kind: opay, secretKey: HUSHx}]")
	f.Add("? [HUSHx]\n: - a\n  - !t &a b\n<<: *a\n")
	f.Fuzz(func(t *testing.T, content string) {
		if len(content) > 4096 || strings.Contains(strings.ReplaceAll(content, hush, ""), "HUSH") {
			t.Skip()
		}
		load(t, content)
	})
}
