package tranzzo

import "github.com/countermand/countermand/providers"

// texts is the one description that the cancel page shows, in its sample. The tables of
// status codes and of the API's own errors are not public.
func texts() providers.Texts {
	return providers.Texts{"6007": {"Payment has cancelled"}}
}
