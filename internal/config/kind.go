package config

import (
	"github.com/countermand/countermand/providers/bento"
	"github.com/countermand/countermand/providers/opay"
	"github.com/countermand/countermand/providers/openpay"
	"github.com/countermand/countermand/providers/tranzzo"
)

// newSettings returns the empty settings of a kind, or nil for an unknown one.
// This is the one list of kinds the configuration knows.
func newSettings(kind string) any {
	switch kind {
	case "opay":
		return new(opay.Settings)
	case "openpay":
		return new(openpay.Settings)
	case "tranzzo":
		return new(tranzzo.Settings)
	case "bento":
		return new(bento.Settings)
	default:
		return nil
	}
}

// kinds is for messages.
const kinds = "opay, openpay, tranzzo, bento"
