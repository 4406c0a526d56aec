package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/countermand/countermand/broker"
	"github.com/countermand/countermand/internal/config"
	"github.com/countermand/countermand/providers"
)

// Connect opens the connection that the configuration describes. It does not fail
// while the server is away: the connection is made when the server comes back.
// Credentials, keys and certificates are read again for every connection, so that a
// replaced file counts without a restart. They are never written anywhere.
func Connect(cfg config.NATS, name string, log *slog.Logger, more ...nats.Option) (*nats.Conn, error) {
	opts := append(broker.ConnectOptions(name, log), more...)
	if cfg.Credentials.Reveal() != "" {
		opts = append(opts, credentials(cfg.Credentials))
	}
	var seed *rotatingKey
	if cfg.NKey.Reveal() != "" {
		seed = &rotatingKey{seed: cfg.NKey}
		o, err := seed.option()
		if err != nil {
			return nil, err
		}
		opts = append(opts, o...)
	}
	if cfg.TLS.CA != "" {
		opts = append(opts, nats.RootCAs(cfg.TLS.CA)) // the library reads the files for each connection
	}
	if cfg.TLS.Cert != "" {
		opts = append(opts, nats.ClientCert(cfg.TLS.Cert, cfg.TLS.Key))
	}
	nc, err := nats.Connect(cfg.URL, opts...)
	if err != nil {
		return nil, &UnreachableError{URL: cfg.URL, Err: err}
	}
	if seed != nil {
		seed.conn.Store(nc)
	}
	return nc, nil
}

// errNotTried: the first attempt after a connection was lost has not ended.
var errNotTried = errors.New("it is tried again")

// UnreachableError says to which server there is no connection, and why.
type UnreachableError struct {
	// URL is that of the setting; it holds no password.
	URL string
	Err error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return "no connection to " + e.URL + " (" + e.Reason() + ")"
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Reason is the cause in words for people, where there are any.
func (e *UnreachableError) Reason() string {
	unknown, _ := errors.AsType[*net.DNSError](e.Err)
	slow, _ := errors.AsType[net.Error](e.Err)
	switch {
	case errors.Is(e.Err, nats.ErrNoServers), errors.Is(e.Err, syscall.ECONNREFUSED): // the first is the library's word for a closed port
		return "refused"
	case unknown != nil && unknown.IsNotFound:
		return "the host name is not known"
	case errors.Is(e.Err, nats.ErrTimeout), slow != nil && slow.Timeout():
		return "no answer in time"
	default:
		return e.Err.Error()
	}
}

// credentials authenticates with the content of the secret at the time of each
// connection. Half-written content fails one attempt; the next one reads again.
func credentials(secret providers.Secret) nats.Option {
	token := func() (string, error) {
		jwt, err := nkeys.ParseDecoratedJWT([]byte(secret.Reveal()))
		if err != nil {
			return "", errors.New("read credentials: no user token in them")
		}
		return jwt, nil
	}
	sign := func(nonce []byte) ([]byte, error) {
		pair, err := nkeys.ParseDecoratedNKey([]byte(secret.Reveal()))
		if err != nil {
			return nil, errors.New("read credentials: no key in them")
		}
		defer pair.Wipe()
		return signed(pair, nonce)
	}
	return nats.UserJWT(token, sign)
}

func signed(pair nkeys.KeyPair, nonce []byte) ([]byte, error) {
	signature, err := pair.Sign(nonce)
	if err != nil {
		return nil, errors.New("sign the server's challenge: the key cannot sign")
	}
	return signature, nil
}

// rotatingKey authenticates with the seed in the secret at the time of each
// connection. The library asks for a signature each time, but keeps one public key.
// Therefore Dial sets the public key just before the library reads it.
type rotatingKey struct {
	seed providers.Secret
	conn atomic.Pointer[nats.Conn] // nil until the first connection is made
}

// dialFor bounds one attempt to reach a server, as in the library.
const dialFor = 2 * time.Second

func (k *rotatingKey) option() ([]nats.Option, error) {
	public, err := k.public()
	if err != nil {
		return nil, err
	}
	sign := func(nonce []byte) ([]byte, error) {
		pair, err := k.pair()
		if err != nil {
			return nil, err
		}
		defer pair.Wipe()
		return signed(pair, nonce)
	}
	return []nats.Option{nats.Nkey(public, sign), nats.SetCustomDialer(k)}, nil
}

// Dial connects to a server. The library calls it with the connection's lock held,
// in the goroutine that then reads the key. Setting the key is therefore no race.
func (k *rotatingKey) Dial(network, address string) (net.Conn, error) {
	if nc := k.conn.Load(); nc != nil {
		public, err := k.public()
		if err != nil {
			return nil, err
		}
		nc.Opts.Nkey = public
	}
	dialer := &net.Dialer{Timeout: dialFor}
	conn, err := dialer.DialContext(context.Background(), network, address) // the library passes no context
	if err != nil {
		return nil, fmt.Errorf("dial nats: %w", err)
	}
	return conn, nil
}

func (k *rotatingKey) pair() (nkeys.KeyPair, error) {
	pair, err := nkeys.FromSeed([]byte(k.seed.Reveal()))
	if err != nil {
		return nil, errors.New("read nkey: not a seed")
	}
	return pair, nil
}

func (k *rotatingKey) public() (string, error) {
	pair, err := k.pair()
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return "", errors.New("read nkey: no public key")
	}
	return public, nil
}
