package broker_test

import (
	"os"
	"testing"

	"github.com/countermand/countermand/internal/sidebyside"
)

func TestMain(m *testing.M) { os.Exit(sidebyside.Run(m)) }
