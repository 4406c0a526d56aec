package check_test

import (
	"testing"

	"github.com/countermand/countermand/deploy/k8s/check"
)

func TestEveryObjectOfEveryRenderingIsValidStrictly(t *testing.T) {
	t.Parallel()
	schemas, err := check.NewSchemas()
	if err != nil {
		t.Fatal(err)
	}
	everyRendering(t, func(t *testing.T, name string) {
		objects := render(t, name)
		if len(objects) < 6 {
			t.Errorf("only %d objects", len(objects))
		}
		for _, o := range objects {
			if err := schemas.Validate(o); err != nil {
				t.Error(err)
			}
		}
		if _, err := check.Typed(objects); err != nil {
			t.Error(err)
		}
	})
}
