package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// verify checks the rules written on the structs, the kinds' settings, and what
// no single field can tell.
func (d *decoder) verify(cfg *Config) {
	v := newValidator()
	d.rules(v, cfg, "")
	for i, p := range cfg.Providers {
		if p.Settings != nil {
			d.rules(v, p.Settings, fmt.Sprintf("providers[%d]", i))
		}
	}
	d.uniqueNames(cfg.Providers)
	d.proxies(cfg)
	d.oneLogin(cfg.NATS)
	d.distinctStreams(cfg.Streams)
	d.plainEndpoint(cfg.Tracing)
	d.people(cfg.Console)
	d.identified(cfg)
	d.ownListener(cfg)
	d.oneWitness(cfg)
	d.foreignReaders(cfg)
}

// rules adds a fault for each rule broken in one struct, at the line of its key
// or, where the key is missing, of the nearest mapping around it.
func (d *decoder) rules(v *validator.Validate, target any, prefix string) {
	var broken validator.ValidationErrors
	if !errors.As(v.Struct(target), &broken) {
		return
	}
	for _, b := range broken {
		_, key, _ := strings.Cut(b.Namespace(), ".")
		path := join(prefix, key)
		if d.hasAround(path) {
			continue
		}
		d.add(d.lineOf(path), path, "%s", ruleText(b))
	}
}

// hasAround reports a fault at the key or at a mapping around it.
func (d *decoder) hasAround(path string) bool {
	for p := path; p != ""; p = parent(p) {
		if d.has(p) {
			return true
		}
	}
	return false
}

// lineOf returns the line of the key, or of the nearest thing around it.
func (d *decoder) lineOf(path string) int {
	for p := path; p != ""; p = parent(p) {
		if n, ok := d.lines[p]; ok {
			return n
		}
	}
	return 1
}

func parent(path string) string {
	i := strings.LastIndexAny(path, ".[")
	return path[:max(i, 0)]
}

func (d *decoder) uniqueNames(list []Provider) {
	first := map[string]int{}
	for i, p := range list {
		path := fmt.Sprintf("providers[%d].name", i)
		if j, taken := first[p.Name]; taken && p.Name != "" {
			d.add(d.lineOf(path), path, "is the name of providers[%d] too", j)
			continue
		}
		first[p.Name] = i
	}
}

func (d *decoder) oneLogin(n NATS) {
	if n.Credentials.Reveal() != "" && n.NKey.Reveal() != "" {
		d.add(d.lineOf("nats.nkey"), "nats.nkey", "must not be given together with credentials")
	}
}

// plainEndpoint refuses credentials in the collector's address: they would stand
// in the file, and in the error of each request.
func (d *decoder) plainEndpoint(t Tracing) {
	const path = "tracing.endpoint"
	if u, err := url.Parse(t.Endpoint); err == nil && (u.User != nil || u.RawQuery != "" || u.Fragment != "") {
		d.add(d.lineOf(path), path, "must not hold a user, password, query or fragment")
	}
}

// ownListener refuses notifications on the admin address, under whatever name of
// the host: strangers are let in to the one and must not reach the other.
func (d *decoder) ownListener(cfg *Config) {
	const path = "notifications.listen"
	_, admin, err1 := net.SplitHostPort(cfg.Admin.Listen)
	_, own, err2 := net.SplitHostPort(cfg.Notifications.Listen)
	if err1 == nil && err2 == nil && own == admin {
		d.add(d.lineOf(path), path, "must have another port than admin.listen")
	}
}

// oneWitness refuses a second witness, and one in the NATS that it is to outlive.
func (d *decoder) oneWitness(cfg *Config) {
	w := cfg.Journal.Witness
	kinds := 0
	for _, there := range []bool{w.File != "", w.Lease.Name != "", w.NATS.URL != ""} {
		if there {
			kinds++
		}
	}
	if kinds > 1 {
		d.add(d.lineOf("journal.witness"), "journal.witness", "must be one of file, lease, nats")
	}
	if w.NATS.URL != "" && w.NATS.URL == cfg.NATS.URL {
		d.add(d.lineOf("journal.witness.nats.url"), "journal.witness.nats.url", "must be another NATS than nats.url: the witness is to outlive that")
	}
}

// foreignReaders refuses a reader that would take the service's own consumer.
func (d *decoder) foreignReaders(cfg *Config) {
	for i, r := range cfg.Readers {
		if r.Name == cfg.Consumer {
			path := fmt.Sprintf("readers[%d].name", i)
			d.add(d.lineOf(path), path, "must not be the name of the service's own consumers")
		}
	}
}

func (d *decoder) distinctStreams(s Streams) {
	names := []struct{ key, value string }{
		{"commands", s.Commands}, {"events", s.Events}, {"due", s.Due}, {"refusals", s.Refusals}, {"rejected", s.Rejected},
	}
	first := map[string]string{}
	for _, n := range names {
		path := "streams." + n.key
		if other, taken := first[n.value]; taken {
			d.add(d.lineOf(path), path, "must not be the same stream as %s", other)
			continue
		}
		first[n.value] = n.key
	}
}

// newValidator returns a validator that knows our own rules and speaks in keys.
func newValidator() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		return name
	})
	providerName := regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	natsName := regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	for tag, valid := range map[string]func(string) bool{
		"providername":  providerName.MatchString,
		"natsname":      natsName.MatchString,
		"natsurl":       natsURL,
		"currency":      func(s string) bool { _, ok := payment.Currency(s).Exponent(); return ok },
		"personname":    func(s string) bool { return len(s) <= 64 && printableASCII(s) },
		"identity":      identity,
		"network":       func(s string) bool { _, ok := Network(s); return ok },
		"uri_reference": func(s string) bool { _, err := url.Parse(s); return err == nil && !strings.ContainsAny(s, " \t\r\n") },
	} {
		check := func(f validator.FieldLevel) bool { return valid(f.Field().String()) }
		if err := v.RegisterValidation(tag, check); err != nil {
			panic(err) // an empty tag or a nil function: neither is possible here
		}
	}
	return v
}

// ruleText says in words which rule is broken; never with the value.
func ruleText(b validator.FieldError) string {
	texts := map[string]string{
		"required":         "is required",
		"required_with":    "is required together with " + lower(b.Param()),
		"required_without": "is required unless there is a " + lower(b.Param()),
		"excluded_with":    "must not be given together with " + lower(b.Param()),
		"excluded_without": "is of use only together with " + lower(b.Param()),
		"oneof":            "must be one of " + strings.ReplaceAll(b.Param(), " ", ", "),
		"gtefield":         "must not be less than " + lower(b.Param()),
		"startswith":       "must start with " + b.Param(),
		"url":              "must be a URL",
		"uri":              "must be a URI",
		"http_url":         "must be a URL with http or https",
		"uri_reference":    "must be a URI reference",
		"unique":           "must name nothing twice",
		"excludes":         "must not contain a #",
		"file":             "must be the path of a file that exists",
		"hostname_rfc1123": "must be a name of small letters, digits, hyphens and dots",
		"hostname_port":    "must be an address with a port, such as 127.0.0.1:9090",
		"iso3166_1_alpha2": "must be a country of ISO 3166-1, two capital letters",
		"currency":         "must be a currency of ISO 4217, three capital letters",
		"providername":     "must be 1 to 32 small letters, digits and hyphens, not starting with a hyphen",
		"natsname":         "must be 1 to 64 letters, digits, underscores and hyphens",
		"personname":       "must be 1 to 64 printable ASCII characters without space",
		"identity":         "must be nats:ACCOUNT/PUBLIC-KEY, token:NAME or proxy:NAME",
		"network":          "must be an IP address, or a network such as 10.0.0.0/8",
		"natsurl":          "must be nats, tls, ws or wss addresses without user and password, separated by commas",
		"min":              "must be at least " + b.Param() + unit(b.Kind()),
		"max":              "must be at most " + b.Param() + unit(b.Kind()),
	}
	if text, ok := texts[b.Tag()]; ok {
		return text
	}
	return strings.TrimSuffix("must be "+b.Tag()+" "+b.Param(), " ")
}

// unit says what a bound counts.
func unit(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return " characters long"
	case reflect.Slice:
		return " entries"
	default:
		return ""
	}
}

// lower turns a field's name into its key.
func lower(name string) string {
	return strings.ToLower(name[:min(1, len(name))]) + name[min(1, len(name)):]
}

// urlRule returns what is wrong with an address credentials are sent to, or "".
func urlRule(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "must be a URL with scheme and host"
	case u.User != nil:
		return "must not hold a user or password"
	case u.RawQuery != "" || u.Fragment != "":
		return "must not have a query or fragment"
	case u.Scheme == "https" || u.Scheme == "http" && providers.Loopback(u.Hostname()):
		return ""
	default:
		return "must be https (http is accepted for a loopback address only)"
	}
}

// natsURL accepts one or more server addresses without credentials in them.
func natsURL(list string) bool {
	for raw := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil || u.Hostname() == "" || u.User != nil {
			return false
		}
		switch u.Scheme {
		case "nats", "tls", "ws", "wss":
		default:
			return false
		}
	}
	return true
}
