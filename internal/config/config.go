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
	// Source is the CloudEvents source of every event that the service publishes. It
	// has no fragment: that is the number of the journal's epoch.
	Source string `yaml:"source" validate:"required,max=256,uri_reference,excludes=#"`
	// Concurrency limits the commands that one process handles at once.
	Concurrency int     `yaml:"concurrency" validate:"min=1,max=65536"`
	Admin       Admin   `yaml:"admin"`
	Results     Results `yaml:"results"`
	Tracing     Tracing `yaml:"tracing"`
	Desk        Desk    `yaml:"desk"`
	Console     Console `yaml:"console"`
	// People is a list of {name, identities}: which logins are one person. If it is given,
	// every other login may do nothing at the desk. Empty: a name alone says who somebody is.
	People []Identified `yaml:"people" validate:"max=1000,dive"`
	// Notifications are received only if the setting names an address.
	Notifications Notifications `yaml:"notifications"`
	Status        Status        `yaml:"status"`
	LateLook      LateLook      `yaml:"lateLook"`
	// Readers are the order services and ledgers that read results. `consumer provision` creates
	// a durable consumer on the journal for each, and one on the stream of refusals where its
	// filters cover rejections. The service itself does not use them.
	Readers []Reader `yaml:"readers" validate:"max=200,unique=Name,dive"`
	// StartPaused treats every provider as paused until `consumer resume`, whatever was said
	// before this process started. It is for the first start after an incident.
	StartPaused bool `yaml:"startPaused"`
	// DataDir is where the embedded server keeps its data. Only the embedded mode uses it.
	DataDir   string     `yaml:"dataDir" validate:"required"`
	Providers []Provider `yaml:"providers" validate:"required,min=1,max=1000,dive"`

	// Exposed are the secrets whose files others on this machine may read or change.
	Exposed []Exposed `yaml:"-"`
	// Quoted are the settings whose secrets stand in quotes, which may be a mistake.
	Quoted []string `yaml:"-"`
	// NotGiven are the settings whose secrets are not there: LoadNotCalling.
	NotGiven []string `yaml:"-"`

	environment environment
}

// NATS says how to reach the server.
type NATS struct {
	// URL is one server or several, separated by commas.
	URL string `yaml:"url" validate:"required,natsurl"`
	// Credentials (the content of a .creds file) and NKey (a seed) are two ways to
	// authenticate. An absent one is not used.
	Credentials providers.Secret `yaml:"credentials"`
	NKey        providers.Secret `yaml:"nkey"`
	TLS         TLS              `yaml:"tls"`
	// Replicas is the number of copies of each stream.
	Replicas int `yaml:"replicas" validate:"oneof=1 3 5"`
	// Monitor is the address of the server's monitoring port. Countermand reads there what
	// only the server can tell. Empty: it does not read. Plain http is allowed, because
	// nothing secret is sent.
	Monitor string `yaml:"monitor" validate:"omitempty,http_url"`
}

// TLS names PEM files. An empty path is not used.
type TLS struct {
	// CA is a PEM file with the certificates of the authorities that the client trusts. Empty:
	// the system's.
	CA string `yaml:"ca" validate:"omitempty,file"`
	// Cert and Key are PEM files with the client's certificate and its key. Empty: not used.
	Cert string `yaml:"cert" validate:"required_with=Key,omitempty,file"`
	Key  string `yaml:"key" validate:"required_with=Cert,omitempty,file"`
}

// Streams are the names of the streams.
type Streams struct {
	// Commands is the stream of commands.
	Commands string `yaml:"commands" validate:"required,natsname"`
	// Events is the stream of events: the journal.
	Events string `yaml:"events" validate:"required,natsname"`
	// Due is the stream of timers.
	Due string `yaml:"due" validate:"required,natsname"`
	// Refusals is the stream of the answers to messages that are no valid commands.
	Refusals string `yaml:"refusals" validate:"required,natsname"`
	// Rejected is the stream that keeps the bytes of rejected messages: the quarantine.
	Rejected string   `yaml:"rejected" validate:"required,natsname"`
	MaxBytes MaxBytes `yaml:"maxBytes"`
}

// MaxBytes bounds the streams that others can fill, in bytes, as the server counts them for
// one replica. The server reserves that much of its storage. The journal and the timers
// have what is left.
type MaxBytes struct {
	// Commands bounds the stream of commands. Full, it refuses further commands.
	Commands int64 `yaml:"commands" validate:"min=1048576,max=1125899906842624"`
	// Refusals bounds the answers to messages that are no valid commands. Full, it forgets the
	// oldest.
	Refusals int64 `yaml:"refusals" validate:"min=1048576,max=1125899906842624"`
	// Rejected bounds the quarantine. Full, it forgets the oldest.
	Rejected int64 `yaml:"rejected" validate:"min=1048576,max=1125899906842624"`
}

// Journal says how a loss in the journal is noticed.
type Journal struct {
	Witness Witness `yaml:"witness"`
	// StartShut keeps the gate shut until a loss is accepted: nothing is sent, whatever the
	// journal shows. It is for the first start after a failover to a copy.
	StartShut bool `yaml:"startShut"`
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
	// SchemaPrefix is the text before "<type>.json" in the attribute dataschema.
	SchemaPrefix string `yaml:"schemaPrefix" validate:"required,uri"`
}

// Tracing says whether and where traces go.
type Tracing struct {
	// Endpoint is the address of an OTLP collector (HTTP), such as http://127.0.0.1:4318. To
	// an address without a path Countermand appends /v1/traces. Empty: it makes no traces and
	// opens no connection.
	Endpoint string `yaml:"endpoint" validate:"omitempty,http_url"`
	// Sample is the share, 0 to 1, of commands without a trace context that are traced. A
	// command with a trace context is traced if its sampled flag is set.
	Sample float64 `yaml:"sample" validate:"min=0,max=1"`
}

// Desk says who may rule on operations in review.
type Desk struct {
	// SelfAsserted accepts an operator's name as typed (--operator) if the NATS server
	// authenticates nobody. Without it, such a server's operators are refused.
	SelfAsserted bool `yaml:"selfAsserted"`
	// Operator is the name that the NATS server grants to users of this file with consumer
	// review. Empty: the user's name in the credentials.
	Operator string `yaml:"operator" validate:"omitempty,max=64"`
	// SecondPersonAbove is a list of {value, currency} in minor units. A ruling or a replay
	// that decides about more than one of these amounts waits until another person says the
	// same. So do other currencies, amounts that nobody has named, replays with changed
	// content, and accepting or trusting a journal that has lost something. Empty: one
	// person is enough.
	SecondPersonAbove []Amount `yaml:"secondPersonAbove" validate:"unique=Currency,dive"`
}

// Console says who may read the web console on the admin address, and who may decide
// there. Empty: nobody.
type Console struct {
	// Viewers may read. This is a list of {name, token}, the token as {file: PATH} or {env:
	// NAME}, 16 characters or more. A name may appear only once among viewers and operators
	// together.
	Viewers []Person `yaml:"viewers" validate:"max=1000,dive"`
	// Operators may read and decide. This is a list like viewers.
	Operators []Person `yaml:"operators" validate:"max=1000,dive"`
	// AllowLoopback lets whoever connects from the same machine read, if nobody can sign in. A
	// reverse proxy on that machine then lets everybody read.
	AllowLoopback bool `yaml:"allowLoopback"`
	// TrustedProxyHeader is the header in which a proxy names the user that it has
	// authenticated, such as X-Forwarded-User. The proxy must remove this header from requests
	// of clients.
	TrustedProxyHeader string `yaml:"trustedProxyHeader" validate:"omitempty,max=64"`
	// TrustedProxies are the addresses or networks (CIDR) from which the header is accepted.
	TrustedProxies []string `yaml:"trustedProxies" validate:"required_with=TrustedProxyHeader,excluded_without=TrustedProxyHeader,dive,network"`
	// ProxyOperators are the users named by the proxy who may decide. All other users that it
	// names may read.
	ProxyOperators []string `yaml:"proxyOperators" validate:"excluded_without=TrustedProxyHeader,unique,dive,min=1,max=64"`
}

// Status sets up the service on payments.status, which answers other services' requests
// for the status of a payment.
type Status struct {
	// Rate is the number of requests a second that each process answers. It tells further
	// requests to come back. 0: the service is not offered.
	Rate float64 `yaml:"rate" validate:"min=0,max=100000"`
	// Recent is the number of operations that are remembered by the ids of their commands,
	// about 100 bytes each. Countermand begins to remember them at the first request that
	// names such an id. 0: a command's id alone finds nothing.
	Recent int `yaml:"recent" validate:"min=0,max=10000000"`
}

// LateLook says when Countermand asks again about results. A refund may come back, and a
// failed operation may be executed later.
type LateLook struct {
	// After is the age at which Countermand asks once more about each result. 0: it does not
	// ask; notifications and consumer reconcile still find late facts.
	After time.Duration `yaml:"after" validate:"omitempty,min=1m"`
}

// Identified is a person with all their logins.
type Identified struct {
	// Name is the person's name in the audit. With NATS the last token of the subject must
	// be this name.
	Name string `yaml:"name" validate:"required,personname"`
	// Identities are the person's logins: nats:ACCOUNT/PUBLIC-KEY, token:NAME (of the console)
	// or proxy:NAME (as the proxy in front of the console names the user). A key is one
	// person's, in whatever account.
	Identities []string `yaml:"identities" validate:"required,min=1,max=100,dive,identity"`
}

// Reader is what an order service or a ledger reads: a durable consumer on the journal, and one on the stream of refusals.
type Reader struct {
	// Name is the name of the durable consumer.
	Name string `yaml:"name" validate:"required,natsname"`
	// Filters are the subjects that it delivers, such as payment.*.*.opay-eg.*.*.
	Filters []string `yaml:"filters" validate:"required,min=1,max=32,unique,dive,startswith=payment."`
	// Pulls is how many requests for messages may wait at the server: one for each process of
	// the reader. 0: 4.
	Pulls int `yaml:"pulls" validate:"min=0,max=4,excluded_with=Push"`
	// Push has the server deliver to payments.results.<name>, and rejections to
	// payments.refusals.<name>, instead of waiting for requests. One process reads them.
	Push bool `yaml:"push"`
}

// Person signs in with a token.
type Person struct {
	// Name appears in the audit of everything this person does.
	Name string `yaml:"name" validate:"required,natsname"`
	// Token is a random text of 16 characters or more. A new token ends the sessions that were
	// opened with the old one.
	Token providers.Secret `yaml:"token"`
}

// Notifications says where providers' notifications arrive, and how many may. A
// notification only makes the status query come sooner.
type Notifications struct {
	// Listen is a separate address; its port must differ from the admin address's. Empty: no
	// notifications are received. A proxy in front must terminate TLS.
	Listen string `yaml:"listen" validate:"omitempty,hostname_port"`
	// MaxBody is the largest size of a notification, in bytes.
	MaxBody int `yaml:"maxBody" validate:"min=1024,max=1048576"`
	// RatePerSecond is how many notifications of one provider each process acts on in a
	// second. It asks the sender to repeat further ones later.
	RatePerSecond float64 `yaml:"ratePerSecond" validate:"min=0.1,max=10000"`
	// MaxAge is the largest age of a notification's signed time. Set it to the time for which
	// the provider repeats a notification, plus an hour.
	MaxAge time.Duration `yaml:"maxAge" validate:"min=1m"`
	// Remember is how many notifications each process remembers, so that a repeated one has no
	// effect.
	Remember int `yaml:"remember" validate:"min=1,max=1000000"`
}

// Amount is an amount in minor units of a currency.
type Amount struct {
	// Value is the amount in minor units of the currency.
	Value int64 `yaml:"value" validate:"min=0"`
	// Currency is the currency of the amount.
	Currency payment.Currency `yaml:"currency" validate:"required,currency"`
}

// Provider is one provider instance. It has the settings of every provider and those of
// its kind.
type Provider struct {
	// Name is permanent once it is used. It is part of subjects and of each payment's
	// identity.
	Name string `yaml:"name" validate:"required,providername"`
	// Kind selects the adapter and the kind's own settings.
	Kind string `yaml:"kind" validate:"required"`
	// BaseURL is scheme, host and an optional prefix. It is in Settings too.
	BaseURL string `yaml:"baseURL" validate:"required"`
	// Proxy is the HTTP proxy for the calls with https, such as http://proxy.example:3128. With
	// a user and password it is given as a secret. Empty: the proxy that the environment's
	// HTTPS_PROXY names, unless NO_PROXY excepts the host. The proxy makes connections
	// (CONNECT) and sees no call.
	Proxy Proxy `yaml:"proxy"`
	// Currencies lists the currencies that commands may name. Empty: any.
	Currencies []payment.Currency `yaml:"currencies" validate:"unique,dive,currency"`
	// Country and Currency are used if a command names none. Empty: no default.
	Country  string           `yaml:"country" validate:"omitempty,iso3166_1_alpha2"`
	Currency payment.Currency `yaml:"currency" validate:"omitempty,currency"`
	// Timeout limits the duration of one call.
	Timeout time.Duration `yaml:"timeout" validate:"min=100ms,max=5m"`
	// RateLimit is how many calls and queries each process sends in a second, evenly spaced.
	// Zero: unlimited.
	RateLimit float64 `yaml:"rateLimit" validate:"omitempty,min=0.1"`
	// MaxConcurrent limits the calls and queries that each process has under way at once.
	MaxConcurrent int   `yaml:"maxConcurrent" validate:"min=1,max=65536"`
	Retry         Retry `yaml:"retry"`
	Poll          Poll  `yaml:"poll"`
	// ReviewAfter is how long Countermand goes on asking the provider before it asks a person.
	ReviewAfter time.Duration `yaml:"reviewAfter" validate:"min=1s"`
	// ProviderMessages says which of the provider's messages results carry: those that its
	// documentation lists for the code (documented), or none. Any other message can name a
	// customer, and never leaves the program.
	ProviderMessages string `yaml:"providerMessages" validate:"oneof=documented none"`

	// Settings are the kind's own, as its NewSettings returns them.
	Settings any `yaml:"-" validate:"-"`
}

// The values of ProviderMessages. There is no third one.
const (
	MessagesDocumented = "documented"
	MessagesNone       = "none"
)

// Retry sets the time between attempts while no attempt was executed.
type Retry struct {
	// Initial is the wait after the first attempt. It doubles after each further attempt.
	Initial time.Duration `yaml:"initial" validate:"min=10ms"`
	// Max is the longest wait between two attempts.
	Max time.Duration `yaml:"max" validate:"gtefield=Initial"`
	// GiveUpAfter is how long such an operation waits in all.
	GiveUpAfter time.Duration `yaml:"giveUpAfter" validate:"gtefield=Max"`
}

// Poll sets the time between status queries.
type Poll struct {
	// Initial is the wait before the first status query. It doubles before each further query.
	Initial time.Duration `yaml:"initial" validate:"min=10ms"`
	// Max is the longest wait between two status queries.
	Max time.Duration `yaml:"max" validate:"gtefield=Initial"`
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
			Commands: "PAYMENT_COMMANDS", Events: "PAYMENT_EVENTS", Due: "PAYMENT_DUE", Refusals: "PAYMENT_REFUSALS", Rejected: "PAYMENT_REJECTED",
			MaxBytes: MaxBytes{Commands: 1 << 30, Refusals: 256 << 20, Rejected: 256 << 20},
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

		ProviderMessages: MessagesDocumented,
	}
}
