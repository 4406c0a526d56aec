package check_test

import (
	"testing"

	"github.com/countermand/countermand/deploy/k8s/check"
)

// root is the folder of the manifests.
const root = ".."

// variants are all renderings that are checked.
func variants() map[string][]string {
	return map[string][]string{
		"base":                 {},
		"base, nats":           {"nats"},
		"base, nats, operator": {"nats", "operator"},
		"base, nats, nack":     {"nats", "nack"},
		"base, nats, keda":     {"nats", "keda"},
		"base, monitoring":     {"monitoring"},
		"base, notifications":  {"notifications"},
		"base, nats, witness":  {"nats", "witness"},
		"everything with nack": {"nats", "witness", "nack", "keda", "monitoring", "notifications"},
	}
}

// overlays are the folders somebody applies.
func overlays() []string { return []string{"dev", "production"} }

// render renders a variant or an overlay by its name.
func render(t *testing.T, name string) []check.Object {
	t.Helper()
	var objects []check.Object
	var err error
	if components, ok := variants()[name]; ok {
		objects, err = check.Combine(root, t.TempDir(), components...)
	} else {
		objects, err = check.Render(root + "/overlays/" + name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// typed renders and decodes.
func typed(t *testing.T, name string) *check.Rendered {
	t.Helper()
	r, err := check.Typed(render(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// everyRendering runs a test for each overlay and variant.
func everyRendering(t *testing.T, run func(t *testing.T, name string)) {
	t.Helper()
	names := overlays()
	for name := range variants() {
		names = append(names, name)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, name)
		})
	}
}
