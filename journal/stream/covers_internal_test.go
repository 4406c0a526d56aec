package stream

import "testing"

// White-box: a filter that does not cover its event cannot be had from package
// events, and must not be sent if it ever is.
func TestAFilterCoversOnlyItsOwnPaymentsSubjects(t *testing.T) {
	t.Parallel()
	const subject = "payment.refund.started.opay-eg.1001000.2"
	for filter, want := range map[string]bool{
		"payment.*.*.opay-eg.1001000.*":            true,
		"payment.refund.started.opay-eg.1001000.2": true,
		"payment.*.*.opay-eg.1001000":              false,
		"payment.*.*.opay-eg.1001000.*.*":          false,
		"payment.*.*.opay-eg.100100.*":             false,
		"payment.*.*.opay.1001000.*":               false,
		"payment.*.*..1001000.*":                   false,
		"payment.>":                                false,
		"":                                         false,
	} {
		if covers(filter, subject) != want {
			t.Errorf("filter %q covers %s: %t", filter, subject, !want)
		}
	}
	if covers("payment.*.*.opay-eg.1001000.*", "payment.refund.started.opay-eg.1001000.") {
		t.Error("a subject with an empty token is covered")
	}
}
