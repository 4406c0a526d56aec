package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countermand/countermand/internal/config"
)

// withSecrets is a configuration whose secrets are in a folder that may be empty: those
// of NATS, of the console, and of one provider of each way to give one.
func withSecrets(dir string) string {
	return strings.ReplaceAll(`
nats: {nkey: {file: DIR/nkey}}
console: {operators: [{name: ana, token: {file: DIR/ana}}, {name: ben, token: {file: DIR/ben}}]}
providers:
  - {name: opay-eg, kind: opay, baseURL: "https://api.example", merchantID: "1", secretKey: {file: DIR/opay}, callbackURL: "https://shop.example/opay", country: EG}
  - {name: openpay-eu, kind: openpay, baseURL: "https://api.example", account: a, apiKey: {env: OPENPAY_MISSING}}
  - {name: bento-uk, kind: bento, baseURL: "https://bento.example", account: b, tokenURL: "https://bento.example/token", clientID: c, clientSecret: {file: DIR/bento}}
`, "DIR", dir)
}

// onlyNATS is a folder with the secret of NATS alone.
func onlyNATS(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "nkey"), []byte("seed"), 0o400); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestACommandThatCallsNoProviderNeedsNoSecretOfTheService(t *testing.T) {
	t.Parallel()
	file := write(t, "config.yaml", withSecrets(onlyNATS(t)))
	cfg, err := config.LoadNotCalling(file, environment)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"console.operators[0].token", "console.operators[1].token", "providers[0].secretKey", "providers[1].apiKey", "providers[2].clientSecret",
	}
	if diff := cmp.Diff(want, cfg.NotGiven); diff != "" {
		t.Errorf("not given (-want +got):\n%s", diff)
	}
	if cfg.NATS.NKey.Reveal() != "seed" || len(cfg.Providers) != 3 {
		t.Errorf("the rest is not as the file says: %d providers", len(cfg.Providers))
	}
	var faults *config.FaultsError
	if _, err := config.Load(file, environment); !errors.As(err, &faults) || len(faults.Faults) != len(want) {
		t.Errorf("the service takes it, or says less: %v", err)
	}
}

func TestACommandThatCallsNoProviderStillRefusesAWrongConfiguration(t *testing.T) {
	t.Parallel()
	dir := onlyNATS(t)
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	good := withSecrets(dir)
	for wrong, text := range map[string]string{
		"names a file that cannot be read":      strings.Replace(good, dir+"/nkey", dir+"/none", 1),
		"names an empty file":                   strings.Replace(good, dir+"/opay", dir+"/empty", 1),
		"is a secret: give it as":               strings.Replace(good, "{env: OPENPAY_MISSING}", "OPENPAY", 1),
		"is unknown; did you mean clientSecret": strings.Replace(good, "clientSecret", "clientSecrett", 1),
		"is required":                           strings.Replace(good, ", apiKey: {env: OPENPAY_MISSING}", "", 1),
		"must not be given together with":       strings.Replace(good, "clientID: c,", "clientID: c, token: {env: BENTO_MISSING},", 1),
	} {
		if text == good {
			t.Fatalf("%s: nothing is wrong", wrong)
		}
		if _, err := config.LoadNotCalling(write(t, "config.yaml", text), environment); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("must say %q: %v", wrong, err)
		}
	}
}
