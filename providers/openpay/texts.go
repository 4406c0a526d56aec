package openpay

import "github.com/countermand/countermand/providers"

// texts are the messages that the refund page shows, in its table and its two samples.
func texts() providers.Texts {
	return providers.Texts{
		"00": {"Approved"},
		"32": {"Already refunded"},
	}
}
