package e2e_test

import (
	"os"
	"testing"

	"github.com/countermand/countermand/internal/sidebyside"
)

func TestMain(m *testing.M) {
	code := sidebyside.Run(m)
	stopChromium()
	os.Exit(code)
}
