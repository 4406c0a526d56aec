package app

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/config"
)

// Connect opens the connection the configuration describes. A server that is
// away is no error: the connection is made when it comes. Credentials and keys
// are used from memory and never written anywhere.
func Connect(cfg config.NATS, name string, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	opts := append(broker.ConnectOptions(name, log), more...)
	if creds := cfg.Credentials.Reveal(); creds != "" {
		opts = append(opts, nats.UserCredentialBytes([]byte(creds)))
	}
	if seed := cfg.NKey.Reveal(); seed != "" {
		o, err := nkey(seed)
		if err != nil {
			return nil, err
		}
		opts = append(opts, o)
	}
	if cfg.TLS.CA != "" {
		opts = append(opts, nats.RootCAs(cfg.TLS.CA))
	}
	if cfg.TLS.Cert != "" {
		opts = append(opts, nats.ClientCert(cfg.TLS.Cert, cfg.TLS.Key))
	}
	nc, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to nats: %w", err)
	}
	return nc, nil
}

func nkey(seed string) (nats.Option, error) {
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return nil, errors.New("read nkey: not a seed")
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, errors.New("read nkey: no public key")
	}
	return nats.Nkey(public, pair.Sign), nil
}
