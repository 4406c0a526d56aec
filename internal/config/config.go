package config

import (
	"time"

	"github.com/countermand/countermand/payment"
	"github.com/countermand/countermand/providers"
)

// Config is the whole configuration. The yaml names are the keys of the file.
type Config struct {
	NATS    NATS    `yaml:"nats"`
	Streams Streams `yaml:"streams"`
	Journal Journal `yaml:"journal"`
	// Consumer is the name of the durable consumers.
	Consumer string `yaml:"consumer" validate:"required,natsname"`
	// Source is the CloudEvents source of everything the service publishes.
	Source string `yaml:"source" validate:"required,max=256,uri_reference"`
	// Concurrency bounds the commands in hand at once.
	Concurrency int     `yaml:"concurrency" validate:"min=1,max=65536"`
	Admin       Admin   `yaml:"admin"`
	Results     Results `yaml:"results"`
	Tracing     Tracing `yaml:"tracing"`
	Desk        Desk    `yaml:"desk"`
	Console     Console `yaml:"console"`
	// Notifications of providers are not taken in unless it says where.
	Notifications Notifications `yaml:"notifications"`
	Status        Status        `yaml:"status"`
	LateLook      LateLook      `yaml:"lateLook"`
	// StartPaused takes every provider for paused until `consumer resume`, whatever was said before the start of this process: for the first start after an incident.
	StartPaused bool `yaml:"startPaused"`
	// DataDir is where the embedded server keeps its data; used in embedded mode only.
	DataDir   string     `yaml:"dataDir" validate:"required"`
	Providers []Provider `yaml:"providers" validate:"required,min=1,max=1000,dive"`
}

// NATS says how to reach the server.
type NATS struct {
	// URL is one server or several, separated by commas.
	URL string `yaml:"url" validate:"required,natsurl"`
	// Credentials (the content of a .creds file) and NKey (a seed) are two ways
	// to authenticate; the zero Secret means not used.
	Credentials providers.Secret `yaml:"credentials"`
	NKey        providers.Secret `yaml:"nkey"`
	TLS         TLS              `yaml:"tls"`
	// Replicas of each stream.
	Replicas int `yaml:"replicas" validate:"oneof=1 3 5"`
	// Monitor is the address of the server's monitoring port, for what only it
	// can tell; empty: not asked. Plain http is allowed: nothing secret is sent.
	Monitor string `yaml:"monitor" validate:"omitempty,http_url"`
}

// TLS names PEM files; empty: not used.
type TLS struct {
	CA   string `yaml:"ca" validate:"omitempty,file"`
	Cert string `yaml:"cert" validate:"required_with=Key,omitempty,file"`
	Key  string `yaml:"key" validate:"required_with=Cert,omitempty,file"`
}

// Streams names the streams.
type Streams struct {
	Commands string `yaml:"commands" validate:"required,natsname"`
	Events   string `yaml:"events" validate:"required,natsname"`
	Due      string `yaml:"due" validate:"required,natsname"`
	Rejected string `yaml:"rejected" validate:"required,natsname"`
}

// Journal says how a loss in the journal is noticed.
type Journal struct {
	Witness Witness `yaml:"witness"`
}

// Witness is where the service remembers how far the journal had come, outside of the NATS that holds it. One of the three at most.
type Witness struct {
	// File remembers it in a file, for one replica only; its folder must exist. Not on the volume that holds the server's data.
	File string `yaml:"file" validate:"omitempty,max=4096"`
	// Lease remembers it in an annotation of a Kubernetes Lease that exists already.
	Lease WitnessLease `yaml:"lease"`
	// NATS remembers it in a bucket of another NATS.
	NATS WitnessNATS `yaml:"nats"`
}

// Configured reports whether there is a witness.
func (w Witness) Configured() bool { return w.File != "" || w.Lease.Name != "" || w.NATS.URL != "" }

// WitnessLease names a Lease of the cluster that the service runs in.
type WitnessLease struct {
	// Namespace of the Lease.
	Namespace string `yaml:"namespace" validate:"required_with=Name,omitempty,hostname_rfc1123"`
	// Name of the Lease. The service may get and update it, and nothing else.
	Name string `yaml:"name" validate:"required_with=Namespace,omitempty,hostname_rfc1123"`
}

// WitnessNATS names a key-value bucket in another NATS.
type WitnessNATS struct {
	// URL is one server or several, separated by commas; not those of nats.url.
	URL string `yaml:"url" validate:"required_with=Bucket,omitempty,natsurl"`
	// Credentials are the content of a .creds file.
	Credentials providers.Secret `yaml:"credentials"`
	// Bucket must exist there. The service publishes to its key _mark, and reads it.
	Bucket string `yaml:"bucket" validate:"required_with=URL,omitempty,natsname"`
}

// Admin is the address of health and metrics.
type Admin struct {
	Listen string `yaml:"listen" validate:"required,hostname_port"`
}

// Results says how result events are written.
type Results struct {
	// Mode is the CloudEvents content mode: structured or binary.
	Mode string `yaml:"mode" validate:"oneof=structured binary"`
	// SchemaPrefix stands before "<type>.json" in dataschema.
	SchemaPrefix string `yaml:"schemaPrefix" validate:"required,uri"`
}

// Tracing says whether and where traces go.
type Tracing struct {
	// Endpoint of an OTLP collector (HTTP), such as http://127.0.0.1:4318; without a path /v1/traces is appended. Empty: no traces are made and no connection is opened.
	Endpoint string `yaml:"endpoint" validate:"omitempty,http_url"`
	// Sample is the share, 0 to 1, of the commands without a trace context of their own that are traced. A command with one is traced if its sampled flag is set.
	Sample float64 `yaml:"sample" validate:"min=0,max=1"`
}

// Desk says who may rule what a machine cannot settle.
type Desk struct {
	// SelfAsserted takes an operator's name as it is typed (--operator) where the NATS server asks nobody who they are. Without it such a server's operators are refused.
	SelfAsserted bool `yaml:"selfAsserted"`
	// Operator is the name that the NATS server grants to whoever uses this file with consumer review; empty: the user's name in the credentials.
	Operator string `yaml:"operator" validate:"omitempty,max=64"`
	// SecondPersonAbove: a ruling on more than one of these amounts waits until another operator says the same; a list of {value, currency} in minor units. Empty: one person is enough.
	SecondPersonAbove []Amount `yaml:"secondPersonAbove" validate:"unique=Currency,dive"`
}

// Console says who may read the web console on the admin address, and who may decide there. Empty: whoever comes over loopback may read, and nobody may decide.
type Console struct {
	// Viewers may read: a list of {name, token}, the token as {file: PATH} or {env: NAME}, 16 characters or more. No name stands twice, here or among the operators.
	Viewers []Person `yaml:"viewers" validate:"max=1000,dive"`
	// Operators may read and decide: a list like viewers.
	Operators []Person `yaml:"operators" validate:"max=1000,dive"`
	// TrustedProxyHeader names the header in which a proxy in front says who it has authenticated, such as X-Forwarded-User. The proxy must remove it from what comes from outside.
	TrustedProxyHeader string `yaml:"trustedProxyHeader" validate:"omitempty,max=64"`
	// TrustedProxies are the addresses or networks (CIDR) the header is believed from.
	TrustedProxies []string `yaml:"trustedProxies" validate:"required_with=TrustedProxyHeader,excluded_without=TrustedProxyHeader,dive,network"`
	// ProxyOperators are those the proxy names who may decide; everybody else it names may read.
	ProxyOperators []string `yaml:"proxyOperators" validate:"excluded_without=TrustedProxyHeader,unique,dive,min=1,max=64"`
}

// Status says how other services may ask where a payment stands, on payments.status.
type Status struct {
	// Rate is how many requests a second each process answers; more are told to come back. 0: the service is not offered.
	Rate float64 `yaml:"rate" validate:"min=0,max=100000"`
	// Recent is how many operations are remembered by the ids of their commands once somebody asks by one, about 100 bytes each. 0: a command's id alone finds nothing.
	Recent int `yaml:"recent" validate:"min=0,max=10000000"`
}

// LateLook says when results are looked at again: a refund may come back, and what failed may go through.
type LateLook struct {
	// After is the age at which each result is asked about once more. 0: none is; notifications and consumer reconcile still find them.
	After time.Duration `yaml:"after" validate:"omitempty,min=1m"`
}

// Person signs in with a token.
type Person struct {
	// Name stands in the audit of everything they do.
	Name string `yaml:"name" validate:"required,natsname"`
	// Token is a random text of 16 characters or more; another one ends the sessions opened with this.
	Token providers.Secret `yaml:"token"`
}

// Notifications says where providers' notifications come in, and how many. They only bring a status query forward.
type Notifications struct {
	// Listen is an address of its own, with another port than the admin address; empty: none are taken in. TLS ends in front of it.
	Listen string `yaml:"listen" validate:"omitempty,hostname_port"`
	// MaxBody is how many bytes a notification may have.
	MaxBody int `yaml:"maxBody" validate:"min=1024,max=1048576"`
	// RatePerSecond is how many of one provider act in a second, of each process; others are asked to come again.
	RatePerSecond float64 `yaml:"ratePerSecond" validate:"min=0.1,max=10000"`
	// MaxAge is how old the signed time of a notification may be: as long as its provider delivers it again, and an hour.
	MaxAge time.Duration `yaml:"maxAge" validate:"min=1m"`
	// Remember is how many are remembered, of each process, so that a repeated one does nothing.
	Remember int `yaml:"remember" validate:"min=1,max=1000000"`
}

// Amount is an amount in minor units of a currency.
type Amount struct {
	Value    int64            `yaml:"value" validate:"min=0"`
	Currency payment.Currency `yaml:"currency" validate:"required,currency"`
}

// Provider is one instance: what every kind has, and the kind's own settings.
type Provider struct {
	// Name is permanent once used: it is part of subjects and of each payment's identity.
	Name string `yaml:"name" validate:"required,providername"`
	Kind string `yaml:"kind" validate:"required"`
	// BaseURL is scheme, host and an optional prefix; it is in Settings too.
	BaseURL string `yaml:"baseURL" validate:"required"`
	// Currencies lists what commands may name; empty: any.
	Currencies []payment.Currency `yaml:"currencies" validate:"unique,dive,currency"`
	// Country and Currency stand in where a command names none; empty: no default.
	Country  string           `yaml:"country" validate:"omitempty,iso3166_1_alpha2"`
	Currency payment.Currency `yaml:"currency" validate:"omitempty,currency"`
	// Timeout bounds one call.
	Timeout time.Duration `yaml:"timeout" validate:"min=100ms,max=5m"`
	// RateLimit is calls and questions a second, evenly spaced, of each process; zero: unlimited.
	RateLimit float64 `yaml:"rateLimit" validate:"omitempty,min=0.1"`
	// MaxConcurrent bounds the calls and questions under way at once, of each process.
	MaxConcurrent int   `yaml:"maxConcurrent" validate:"min=1,max=65536"`
	Retry         Retry `yaml:"retry"`
	Poll          Poll  `yaml:"poll"`
	// ReviewAfter is how long a machine goes on asking before a person is called.
	ReviewAfter time.Duration `yaml:"reviewAfter" validate:"min=1s"`

	// Settings are the kind's own, as its NewSettings returns them.
	Settings any `yaml:"-" validate:"-"`
}

// Retry spaces the tries while nothing was executed.
type Retry struct {
	Initial time.Duration `yaml:"initial" validate:"min=10ms"`
	Max     time.Duration `yaml:"max" validate:"gtefield=Initial"`
	// GiveUpAfter is how long such an operation waits in all.
	GiveUpAfter time.Duration `yaml:"giveUpAfter" validate:"gtefield=Max"`
}

// Poll spaces the status queries.
type Poll struct {
	Initial time.Duration `yaml:"initial" validate:"min=10ms"`
	Max     time.Duration `yaml:"max" validate:"gtefield=Initial"`
}

// Policy returns the instance's timing as the core knows it.
func (p Provider) Policy() payment.Policy {
	policy := payment.DefaultPolicy()
	policy.CallTimeout = p.Timeout
	policy.RetryInitial, policy.RetryMax, policy.GiveUpAfter = p.Retry.Initial, p.Retry.Max, p.Retry.GiveUpAfter
	policy.PollInitial, policy.PollMax = p.Poll.Initial, p.Poll.Max
	policy.ReviewAfter = p.ReviewAfter
	return policy
}

// Defaults returns the configuration of an empty file, without providers: what
// the embedded mode starts from.
func Defaults() *Config {
	return &Config{
		NATS: NATS{URL: "nats://127.0.0.1:4222", Replicas: 3},
		Streams: Streams{
			Commands: "PAYMENT_COMMANDS", Events: "PAYMENT_EVENTS", Due: "PAYMENT_DUE", Rejected: "PAYMENT_REJECTED",
		},
		Consumer:    "payment-consumer",
		Source:      "/payments/consumer",
		Concurrency: 256,
		Admin:       Admin{Listen: "127.0.0.1:9090"},
		Results:     Results{Mode: "structured", SchemaPrefix: "https://countermand.dev/schemas/v1/"},
		Tracing:     Tracing{Sample: 1},
		Notifications: Notifications{
			MaxBody: 16 << 10, RatePerSecond: 50, MaxAge: 73 * time.Hour, Remember: 10_000,
		},
		Status:   Status{Rate: 1000, Recent: 200_000},
		LateLook: LateLook{After: 24 * time.Hour},
		DataDir:  "./data",
	}
}

// DefaultProvider returns an instance with every common default filled in.
func DefaultProvider() Provider {
	policy := payment.DefaultPolicy()
	return Provider{
		Timeout:       policy.CallTimeout,
		MaxConcurrent: 32,
		Retry:         Retry{Initial: policy.RetryInitial, Max: policy.RetryMax, GiveUpAfter: policy.GiveUpAfter},
		Poll:          Poll{Initial: policy.PollInitial, Max: policy.PollMax},
		ReviewAfter:   policy.ReviewAfter,
	}
}
