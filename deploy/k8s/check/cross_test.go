package check_test

import "testing"

func TestObjectsOfEveryRenderingFitTogether(t *testing.T) {
	t.Parallel()
	everyRendering(t, func(t *testing.T, name string) {
		for _, fault := range typed(t, name).Faults() {
			t.Error(fault)
		}
	})
}

func TestPodsOfEveryRenderingAreRestricted(t *testing.T) {
	t.Parallel()
	everyRendering(t, func(t *testing.T, name string) {
		for _, fault := range typed(t, name).SecurityFaults() {
			t.Error(fault)
		}
	})
}
