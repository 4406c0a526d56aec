package providers

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// VerifyURL wants an address that calls and credentials may go to: scheme,
// host and an optional path, without user, query or fragment; https, or http
// to loopback. The error begins with the setting's name and holds nothing of
// the value, which may be a credential put in the wrong place.
func VerifyURL(setting, raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%s: must be scheme, host and an optional path", setting)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s: must carry no user, query or fragment", setting)
	case u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()):
		return nil
	default:
		return fmt.Errorf("%s: must be https, or http to a loopback address", setting)
	}
}

// VerifyPath wants a path that is appended to a base URL. It starts with /, has
// neither query nor fragment and names each placeholder. The error begins with
// the setting's name.
func VerifyPath(setting, path string, placeholders ...string) error {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") {
		return fmt.Errorf("%s: must start with / and carry no query", setting)
	}
	for _, p := range placeholders {
		if !strings.Contains(path, p) {
			return fmt.Errorf("%s: must name %s", setting, p)
		}
	}
	return nil
}

// Loopback reports whether a host without its port is this machine alone.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// AccountHost is the host of a base URL as accounts are named by it: lower
// case, and without the port that https has anyway. It must never change for
// an address: the account is recorded with every open operation.
func AccountHost(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return baseURL
	}
	host := strings.ToLower(u.Host)
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	}
	return host
}
