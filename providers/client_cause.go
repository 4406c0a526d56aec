package providers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
)

// Cause is the kind of cause why a call has no complete answer. The list is
// closed and holds nothing of the other side, no host and no address, so that a
// cause may stand in events and logs. It says nothing about whether something was
// sent: Answer.NeverSent does.
type Cause string

// The causes. Those of a connection also exist with "proxy_" before them, where
// it was the connection to the proxy that failed.
const (
	CauseUnknown Cause = "" // there is an answer, or the cause is none of these

	// Before there is a connection.
	CauseUnknownName       Cause = "unknown_name"
	CauseNameLookup        Cause = "name_lookup_failed"
	CauseConnectionRefused Cause = "connection_refused"
	CauseUnreachable       Cause = "network_unreachable"
	CauseConnectTimeout    Cause = "connect_timeout"
	CauseNotPermitted      Cause = "not_permitted"
	CauseNoResources       Cause = "no_local_resources"

	// In the TLS handshake.
	CauseTLSRefused           Cause = "tls_refused"
	CauseTLSFailed            Cause = "tls_failed"
	CauseTLSTimeout           Cause = "tls_timeout"
	CauseNoTLS                Cause = "no_tls"
	CauseCertificateUntrusted Cause = "certificate_untrusted"
	CauseCertificateName      Cause = "certificate_wrong_name"
	CauseCertificateExpired   Cause = "certificate_expired"
	CauseCertificateInvalid   Cause = "certificate_invalid"
	CauseNoAuthorities        Cause = "no_trusted_authorities"

	// At the proxy.
	CauseProxySetting        Cause = "proxy_setting"
	CauseProxyAuthentication Cause = "proxy_authentication"
	CauseProxyRefused        Cause = "proxy_refused"
	CauseProxyFailed         Cause = "proxy_failed"
	CauseProxyNoAnswer       Cause = "proxy_no_answer"

	// On a connection.
	CauseReset    Cause = "connection_reset"
	CauseCut      Cause = "connection_cut"
	CauseTimeout  Cause = "answer_timeout"
	CauseTooLarge Cause = "answer_too_large"
	CauseNoHTTP   Cause = "no_http_answer"

	// On our side.
	CauseTooLate     Cause = "too_late"
	CauseGivenUp     Cause = "given_up"
	CauseInvalidCall Cause = "invalid_call"
)

// proxied begins the name of a cause that lies between us and the proxy.
const proxied = "proxy_"

// Words says the cause for people; never empty.
func (c Cause) Words() string {
	if words, ok := ownWords()[c]; ok {
		return words
	}
	if words, ok := connectionWords()[c]; ok {
		return words
	}
	if rest, ok := strings.CutPrefix(string(c), proxied); ok {
		if words, ok := connectionWords()[Cause(rest)]; ok {
			return "at the proxy: " + words
		}
	}
	return "the cause is not known"
}

// Because adds the cause, where it is known, to what happened.
func (c Cause) Because(what string) string {
	if c == CauseUnknown {
		return what
	}
	return what + " (" + c.Words() + ")"
}

// connectionWords are those of the causes that a proxy's connection has too.
func connectionWords() map[Cause]string {
	return map[Cause]string{
		CauseUnknownName:          "the host name is not known",
		CauseNameLookup:           "the host name could not be looked up",
		CauseConnectionRefused:    "the port is closed",
		CauseUnreachable:          "no route leads to the host",
		CauseConnectTimeout:       "the host did not take the connection in time",
		CauseNotPermitted:         "this machine does not permit the connection",
		CauseNoResources:          "this machine has no port, file or memory left for a connection",
		CauseTLSRefused:           "the TLS handshake was refused",
		CauseTLSFailed:            "the TLS handshake failed",
		CauseTLSTimeout:           "the TLS handshake took too long",
		CauseNoTLS:                "the port does not speak TLS",
		CauseCertificateUntrusted: "the certificate is of no trusted authority",
		CauseCertificateName:      "the certificate is for another host name",
		CauseCertificateExpired:   "a certificate has expired, or is not valid yet",
		CauseCertificateInvalid:   "a certificate is not valid for this use",
		CauseNoAuthorities:        "this machine has no list of trusted authorities",
		CauseReset:                "the connection was reset",
		CauseCut:                  "the connection was cut",
	}
}

// ownWords are those of the other causes.
func ownWords() map[Cause]string {
	return map[Cause]string{
		CauseProxySetting:        "the address of the proxy cannot be read",
		CauseProxyAuthentication: "the proxy wants other credentials",
		CauseProxyRefused:        "the proxy refused the connection",
		CauseProxyFailed:         "the proxy could not reach the host",
		CauseProxyNoAnswer:       "the proxy gave no answer that can be read",
		CauseTimeout:             "no answer came in time",
		CauseTooLarge:            "the answer was too large",
		CauseNoHTTP:              "what came was no HTTP answer",
		CauseTooLate:             "the time to send had passed",
		CauseGivenUp:             "the call was given up",
		CauseInvalidCall:         "the call cannot be sent as it is",
	}
}

// atProxy is the same cause on the way to the proxy.
func (c Cause) atProxy() Cause {
	switch {
	case c.ours():
		return c
	case c == CauseUnknown:
		return CauseProxyNoAnswer
	default:
		return proxied + c
	}
}

// ours reports a cause that says nothing about the way to the provider.
func (c Cause) ours() bool {
	return c == CauseTooLate || c == CauseGivenUp || c == CauseInvalidCall
}

// unconnectedError is why no connection was made. Its text is the cause's.
type unconnectedError struct {
	cause Cause
	err   error
}

// Error implements error.
func (e *unconnectedError) Error() string { return e.cause.Words() }

// Unwrap returns what the network said.
func (e *unconnectedError) Unwrap() error { return e.err }

// causeOf names why a call has no answer. neverSent: nothing of it left. waited is how
// the wait for a connection is called if it ended.
func causeOf(err error, neverSent bool, waited Cause) Cause {
	if unconnected, ok := errors.AsType[*unconnectedError](err); ok {
		return unconnected.cause
	}
	switch {
	case errors.Is(err, ErrTooLate):
		return CauseTooLate
	case errors.Is(err, errInvalidCall):
		return CauseInvalidCall
	case errors.Is(err, ErrBodyTooLarge):
		return CauseTooLarge
	case errors.Is(err, context.Canceled):
		return CauseGivenUp
	case timedOut(err) && neverSent:
		return waited
	case timedOut(err):
		return CauseTimeout
	case errors.Is(err, errRepeat):
		return CauseCut // what was sent first was not answered
	}
	if cause := brokenCause(err); cause != CauseUnknown || neverSent {
		return cause
	}
	return CauseNoHTTP
}

// dialCause names why no connection was made to an address.
func dialCause(err error) Cause {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return CauseUnknownName
		}
		return CauseNameLookup
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return CauseConnectionRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return CauseUnreachable
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return CauseNotPermitted
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.ENOBUFS):
		return CauseNoResources
	case timedOut(err):
		return CauseConnectTimeout
	case errors.Is(err, context.Canceled):
		return CauseGivenUp
	}
	return brokenCause(err)
}

// handshakeCause names why TLS was not agreed on.
func handshakeCause(err error) Cause {
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateCause(certificate.Err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return CauseNoTLS
	}
	switch {
	case timedOut(err):
		return CauseTLSTimeout
	case errors.Is(err, context.Canceled):
		return CauseGivenUp
	}
	if cause := brokenCause(err); cause != CauseUnknown {
		return cause
	}
	return CauseTLSFailed
}

func certificateCause(err error) Cause {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return CauseCertificateExpired
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return CauseCertificateName
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return CauseCertificateUntrusted
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return CauseNoAuthorities
	}
	return CauseCertificateInvalid
}

// brokenCause names how an existing connection ended; CauseUnknown: another way.
func brokenCause(err error) Cause {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return CauseTLSRefused // so crypto/tls calls an alert of the other side
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return CauseReset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return CauseCut
	default:
		return CauseUnknown
	}
}

func timedOut(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	network, ok := errors.AsType[net.Error](err)
	return ok && network.Timeout()
}
