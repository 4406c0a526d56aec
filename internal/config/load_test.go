package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/openpay"
)

// environment is what the tests' processes would have.
func environment(name string) string {
	return map[string]string{"NATS_CREDENTIALS": "hush-nats", "OPENPAY_KEY": "hush-env\n"}[name]
}

// write puts a file into a directory of the test and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secrets lets go-cmp compare secrets by what they reveal.
func secrets() cmp.Option {
	return cmp.Transformer("Reveal", func(s providers.Secret) string { return s.Reveal() })
}

func TestEveryKeyOfAGoodFileArrives(t *testing.T) {
	t.Parallel()
	got, err := config.Load("testdata/good.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		NATS: config.NATS{
			URL:         "nats://nats-0.nats:4222, nats://nats-1.nats:4222",
			Credentials: providers.NewSecret("hush-nats"),
			TLS:         config.TLS{CA: "testdata/good.yaml"},
			Replicas:    5,
			Monitor:     "http://nats-0.nats:8222",
		},
		Streams:     config.Streams{Commands: "COMMANDS", Events: "EVENTS", Due: "DUE", Refusals: "REFUSALS", Rejected: "REJECTED", MaxBytes: config.MaxBytes{Commands: 4 << 30, Refusals: 2 << 20, Rejected: 3 << 20}},
		Consumer:    "payments",
		Source:      "https://pay.example/consumer",
		Concurrency: 64,
		Admin:       config.Admin{Listen: "0.0.0.0:9191"},
		Results:     config.Results{Mode: "binary", SchemaPrefix: "https://schemas.example/v1/"},
		Tracing:     config.Tracing{Endpoint: "http://collector:4318", Sample: 0.25},
		Status:      config.Status{Rate: 12.5, Recent: 1000},
		LateLook:    config.LateLook{After: 36 * time.Hour},
		Notifications: config.Notifications{
			Listen: "10.0.0.1:9292", MaxBody: 4096, RatePerSecond: 7.5, MaxAge: 100 * time.Hour, Remember: 5,
		},
		DataDir: "/var/lib/countermand",
		Providers: []config.Provider{{
			Name: "opay-eg", Kind: "opay", BaseURL: "https://api.opaycheckout.com/prefix",
			Currencies: []payment.Currency{"EGP", "USD"}, Country: "EG",
			Timeout: 7 * time.Second, RateLimit: 12.5, MaxConcurrent: 8,
			Retry:       config.Retry{Initial: 2 * time.Second, Max: time.Minute, GiveUpAfter: 24 * time.Hour},
			Poll:        config.Poll{Initial: 3 * time.Second, Max: 30 * time.Minute},
			ReviewAfter: 20 * time.Minute, ProviderMessages: "none",
			Settings: &opay.Settings{
				BaseURL: "https://api.opaycheckout.com/prefix", MerchantID: "256612345678901",
				SecretKey: providers.NewSecret("hush-file"), CallbackURL: "https://shop.example/opay", Country: "EG",
				RefundRepeat: "unsafe", DuplicateCodes: []string{"02004"}, Paths: opay.Paths{Refund: "/refund"},
			},
		}, {
			Name: "openpay-eu", Kind: "openpay", BaseURL: "http://127.0.0.1:8081", Currency: "EUR",
			Timeout: 10 * time.Second, RateLimit: 5, MaxConcurrent: 32,
			Retry:       config.Retry{Initial: time.Second, Max: 5 * time.Minute, GiveUpAfter: 72 * time.Hour},
			Poll:        config.Poll{Initial: 2 * time.Second, Max: time.Hour},
			ReviewAfter: 15 * time.Minute, ProviderMessages: "documented",
			Settings: &openpay.Settings{
				BaseURL: "http://127.0.0.1:8081", Account: "shop-eu", APIKey: providers.NewSecret("hush-env"),
				Encoding: "form", PartialRefunds: true,
			},
		}},
	}
	// How this checkout's files may be read is not known here.
	if diff := cmp.Diff(want, got, secrets(), cmpopts.IgnoreFields(config.Config{}, "Exposed"), cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

func TestWhatAFileLeavesOutHasTheDocumentedDefault(t *testing.T) {
	t.Parallel()
	got := config.Defaults()
	want := &config.Config{
		NATS: config.NATS{URL: "nats://127.0.0.1:4222", Replicas: 3},
		Streams: config.Streams{
			Commands: "PAYMENT_COMMANDS", Events: "PAYMENT_EVENTS", Due: "PAYMENT_DUE", Refusals: "PAYMENT_REFUSALS", Rejected: "PAYMENT_REJECTED",
			MaxBytes: config.MaxBytes{Commands: 1 << 30, Refusals: 256 << 20, Rejected: 256 << 20},
		},
		Consumer: "payment-consumer", Source: "/payments/consumer", Concurrency: 256,
		Admin:   config.Admin{Listen: "127.0.0.1:9090"},
		Results: config.Results{Mode: "structured", SchemaPrefix: "https://countermand.dev/schemas/v1/"},
		Tracing: config.Tracing{Sample: 1}, Status: config.Status{Rate: 1000, Recent: 200_000},
		LateLook: config.LateLook{After: 24 * time.Hour},
		Notifications: config.Notifications{
			MaxBody: 16 << 10, RatePerSecond: 50, MaxAge: 73 * time.Hour, Remember: 10_000,
		},
		DataDir: "./data",
	}
	if diff := cmp.Diff(want, got, secrets(), cmpopts.IgnoreUnexported(config.Config{})); diff != "" {
		t.Errorf("Defaults (-want +got):\n%s", diff)
	}
}

func TestTheTimingOfAnInstanceReachesItsPolicy(t *testing.T) {
	t.Parallel()
	p := config.DefaultProvider()
	if diff := cmp.Diff(payment.DefaultPolicy(), p.Policy()); diff != "" {
		t.Errorf("Policy of the defaults (-want +got):\n%s", diff)
	}
	p.Timeout, p.ReviewAfter = 1, 2
	p.Retry = config.Retry{Initial: 3, Max: 4, GiveUpAfter: 5}
	p.Poll = config.Poll{Initial: 6, Max: 7}
	want := payment.DefaultPolicy()
	want.CallTimeout, want.ReviewAfter = 1, 2
	want.RetryInitial, want.RetryMax, want.GiveUpAfter = 3, 4, 5
	want.PollInitial, want.PollMax = 6, 7
	if diff := cmp.Diff(want, p.Policy()); diff != "" {
		t.Errorf("Policy (-want +got):\n%s", diff)
	}
}

func TestARotatedSecretIsReadWithoutARestart(t *testing.T) {
	t.Parallel()
	file := write(t, "secret", "first\n")
	got, err := config.Load(write(t, "c.yaml", openpayWith("{file: "+file+"}")), environment)
	if err != nil {
		t.Fatal(err)
	}
	key := got.Providers[0].Settings.(*openpay.Settings).APIKey
	for _, step := range []struct{ content, want string }{
		{"second\n", "second"}, {"", "second"}, {"third", "third"},
	} {
		if err := os.WriteFile(file, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := key.Reveal(); got != step.want {
			t.Errorf("with %q in the file the secret is %q, want %q", step.content, got, step.want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := key.Reveal(); got != "third" {
		t.Errorf("without its file the secret is %q, want the last one", got)
	}
}

func TestAFileThatCannotBeReadIsNoListOfFaults(t *testing.T) {
	t.Parallel()
	_, err := config.Load(filepath.Join(t.TempDir(), "absent.yaml"), environment)
	var faults *config.FaultsError
	if !errors.Is(err, os.ErrNotExist) || errors.As(err, &faults) {
		t.Errorf("error is %v, want that the file does not exist", err)
	}
}

// openpayWith is a good file whose one secret is written as given, on line 6.
func openpayWith(secret string) string {
	return `providers:
  - name: openpay-eu
    kind: openpay
    baseURL: https://api.openpay.example
    account: shop-eu
    apiKey: ` + secret + "\n"
}

func TestASecretsFileIsSeenToChangeWhateverItsAgeAndSize(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	put := func(value string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	put("key-one", time.Hour)
	cfg := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(cfg, fmt.Appendf(nil, `providers:
  - {name: opay-eg, kind: opay, baseURL: "https://opay.example", merchantID: "1", secretKey: {file: %q}, callbackURL: "https://shop.example/opay"}
`, file), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(cfg, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	key := loaded.Providers[0].Settings.(*opay.Settings).SecretKey
	reveals := func(want string) {
		t.Helper()
		for range 2 {
			if got := key.Reveal(); got != want {
				t.Errorf("reveals %q, want %q", got, want)
			}
		}
	}
	reveals("key-one")
	put("key-two", time.Minute) // as long, and old
	reveals("key-two")
	put("key-six", 0) // new: it may change within one tick of its clock
	reveals("key-six")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	put("key-ten", 0)
	if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	reveals("key-ten")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	reveals("key-ten")
	put("", time.Hour)
	reveals("key-ten")
	put("key-new", time.Hour)
	reveals("key-new")
	// Written over where it lies, with a time that is kept, as cp -p does among
	// files that all bear the time of one build: only the size tells.
	if info, err = os.Stat(file); err != nil {
		t.Fatal(err)
	}
	put("key-longer", 0)
	if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if now, err := os.Stat(file); err != nil || !os.SameFile(now, info) || !now.ModTime().Equal(info.ModTime()) {
		t.Fatalf("the file or its time is another one (%v): its size alone has to tell", err)
	}
	reveals("key-longer")
}

// exposed is what is told of the one secret of a configuration that lies in a file, whose
// file and folder have these modes.
func exposed(t *testing.T, file, folder os.FileMode) []config.Exposed {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("files have no such modes there")
	}
	dir, secrets := t.TempDir(), t.TempDir()
	key, path := filepath.Join(secrets, "key"), filepath.Join(dir, "config.yaml")
	text := "nats: {nkey: {file: " + key + "}}\nproviders: [{name: opay-eg, kind: opay, baseURL: \"https://h\", merchantID: \"1\", secretKey: {env: KEY}, callbackURL: \"https://h\", country: EG}]\n"
	for _, err := range []error{
		os.WriteFile(key, []byte("hush"), 0o600), os.Chmod(key, file), os.Chmod(secrets, folder), os.WriteFile(path, []byte(text), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := config.Load(path, func(string) string { return "secret" })
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Exposed
}

func TestASecretWhoseFileIsOpenToOthersIsNamed(t *testing.T) {
	t.Parallel()
	for mode, open := range map[os.FileMode]bool{
		0o400: false, 0o440: false, 0o600: false, 0o640: false,
		0o644: true, 0o604: true, 0o660: true, 0o620: true, 0o602: true, 0o666: true, 0o601: true,
	} {
		var want []config.Exposed
		if open {
			want = []config.Exposed{{Setting: "nats.nkey", Mode: mode}}
		}
		if diff := cmp.Diff(want, exposed(t, mode, 0o700)); diff != "" {
			t.Errorf("%04o (-want +got):\n%s", mode, diff)
		}
	}
}

// Who may write to a folder may put another file in a secret's place.
func TestASecretInAFolderThatOthersMayWriteToIsNamed(t *testing.T) {
	t.Parallel()
	for mode, open := range map[os.FileMode]bool{
		0o700: false, 0o755: false, 0o775: false, 0o777 | os.ModeSticky: false, 0o777: true, 0o702 | os.ModeSetgid: true,
	} {
		var want []config.Exposed
		if open {
			want = []config.Exposed{{Setting: "nats.nkey", Mode: mode.Perm(), Folder: true}}
		}
		if diff := cmp.Diff(want, exposed(t, 0o400, mode)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", mode, diff)
		}
	}
}
