package providers

import "log/slog"

// mask is what a Secret prints as, whatever the verb.
const mask = "***"

// Secret is a credential. It prints as a mask in every format; only Reveal
// gives the value, and only the adapter that signs or sends it calls that.
// Adapters call Reveal for every request, so that rotation needs no restart.
type Secret struct{ read func() string }

// NewSecret wraps a fixed value.
func NewSecret(value string) Secret { return Secret{read: func() string { return value }} }

// NewSecretFunc wraps a credential that is read anew for every use, for example
// from a file that is rotated. The function must be safe for concurrent use.
func NewSecretFunc(read func() string) Secret { return Secret{read: read} }

// Reveal returns the credential itself; empty for the zero Secret.
func (s Secret) Reveal() string {
	if s.read == nil {
		return ""
	}
	return s.read()
}

// String, GoString, MarshalText and LogValue all give the mask.
func (s Secret) String() string { return mask }

// GoString gives the mask.
func (s Secret) GoString() string { return mask }

// MarshalText gives the mask.
func (s Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// LogValue gives the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(mask) }
