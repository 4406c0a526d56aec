package opay

import "github.com/countermand/countermand/providers"

// texts are the messages of the cancel-payment and query-refund-status pages, in their
// tables and samples. The error-codes page words its codes for the reader; what OPay
// sends with them is not shown.
func texts() providers.Texts {
	return providers.Texts{
		"00000": {"SUCCESSFUL"},
		"02000": {"authentication failed"},
		"02001": {"request params not valid"},
		"02002": {"merchant not configured with this function"},
		"02006": {"not found", "payment not found"},
		"02007": {"merchant not available"},
		"50003": {"service not available, please try again"},
	}
}
