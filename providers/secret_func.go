package providers

// NewSecretFunc wraps a credential that is read anew for every use, for example
// from a file that is rotated. The function must be safe for concurrent use.
func NewSecretFunc(read func() string) Secret { return Secret{read: read} }
