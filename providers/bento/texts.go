package bento

import "github.com/countermand/countermand/providers"

// texts are the messages of the cancel-transaction page: the description in its sample,
// and the titles of its errors, which carry no code. The page lists the other codes
// without a text.
func texts() providers.Texts {
	return providers.Texts{
		"": {
			"Invalid Authentication Credentials", "Invalid Authorization Credentials", "Resource Not Found",
			"Action Cannot Be Performed", "Too Many Requests",
		},
		"PG0000": {"Approved or completed successfully"},
	}
}
