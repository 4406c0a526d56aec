package check

import (
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/countermand/countermand/broker"
)

// streamSpec is the specification of a NACK Stream.
type streamSpec struct {
	Name               string   `json:"name"`
	Description        string   `json:"description"`
	Subjects           []string `json:"subjects"`
	Storage            string   `json:"storage"`
	Replicas           int      `json:"replicas"`
	Retention          string   `json:"retention"`
	Discard            string   `json:"discard"`
	DiscardPerSubject  bool     `json:"discardPerSubject"`
	MaxMsgs            int64    `json:"maxMsgs"`
	MaxBytes           int64    `json:"maxBytes"`
	MaxAge             string   `json:"maxAge"`
	MaxMsgsPerSubject  int64    `json:"maxMsgsPerSubject"`
	MaxMsgSize         int32    `json:"maxMsgSize"`
	MaxConsumers       int      `json:"maxConsumers"`
	NoAck              bool     `json:"noAck"`
	Sealed             bool     `json:"sealed"`
	DenyDelete         bool     `json:"denyDelete"`
	DenyPurge          bool     `json:"denyPurge"`
	AllowDirect        bool     `json:"allowDirect"`
	MirrorDirect       bool     `json:"mirrorDirect"`
	AllowRollup        bool     `json:"allowRollup"`
	AllowMsgTTL        bool     `json:"allowMsgTtl"`
	AllowMsgSchedules  bool     `json:"allowMsgSchedules"`
	AllowMsgCounter    bool     `json:"allowMsgCounter"`
	AllowAtomicPublish bool     `json:"allowAtomicPublish"`
}

// consumerSpec is the specification of a NACK Consumer.
type consumerSpec struct {
	StreamName     string   `json:"streamName"`
	DurableName    string   `json:"durableName"`
	Description    string   `json:"description"`
	FilterSubject  string   `json:"filterSubject"`
	FilterSubjects []string `json:"filterSubjects"`
	DeliverPolicy  string   `json:"deliverPolicy"`
	ReplayPolicy   string   `json:"replayPolicy"`
	AckPolicy      string   `json:"ackPolicy"`
	AckWait        string   `json:"ackWait"`
	MaxDeliver     int      `json:"maxDeliver"`
	MaxAckPending  int      `json:"maxAckPending"`
	Replicas       int      `json:"replicas"`
	MemStorage     bool     `json:"memStorage"`
	HeadersOnly    bool     `json:"headersOnly"`
	PreventDelete  bool     `json:"preventDelete"`
	PreventUpdate  bool     `json:"preventUpdate"`
}

// TopologyFaults compares the streams and consumers among the objects with those
// the service would create itself, field by field. It says nothing where there
// are none of them.
func (r *Rendered) TopologyFaults(want broker.Topology) []string {
	f := &faultList{}
	objects := r.custom("Stream")
	if len(objects) == 0 {
		return nil
	}
	got, err := r.StreamConfigs()
	if err != nil {
		f.add("%v", err)
	}
	for _, o := range objects {
		if o.at("spec", "preventDelete") != true || o.at("spec", "preventUpdate") != true {
			f.add("%s: preventDelete and preventUpdate must be true", o)
		}
	}
	for _, w := range want.Streams() {
		compare(f, "Stream "+w.Name, got[w.Name], w)
		delete(got, w.Name)
	}
	for name := range got {
		f.add("Stream %s is none of the service's", name)
	}
	consumers := map[string]jetstream.ConsumerConfig{
		want.Commands: want.CommandsConsumerConfig(), want.Due: want.DueConsumerConfig(),
		want.Events: want.LateConsumerConfig(),
	}
	for _, o := range r.custom("Consumer") {
		r.checkConsumer(f, o, consumers)
	}
	for stream := range consumers {
		f.add("no Consumer on %s", stream)
	}
	return f.lines
}

// StreamConfigs returns the configurations the Stream resources ask for, by name.
func (r *Rendered) StreamConfigs() (map[string]jetstream.StreamConfig, error) {
	all := map[string]jetstream.StreamConfig{}
	for _, o := range r.custom("Stream") {
		v, err := as[struct {
			Spec streamSpec `json:"spec"`
		}](o)
		if err != nil {
			return all, err
		}
		if all[v.Spec.Name], err = v.Spec.config(); err != nil {
			return all, fmt.Errorf("%s: %w", o, err)
		}
	}
	return all, nil
}

func (s streamSpec) config() (jetstream.StreamConfig, error) {
	cfg := jetstream.StreamConfig{
		Name: s.Name, Description: s.Description, Subjects: s.Subjects, Replicas: s.Replicas,
		DiscardNewPerSubject: s.DiscardPerSubject, MaxMsgs: s.MaxMsgs, MaxBytes: s.MaxBytes,
		MaxMsgsPerSubject: s.MaxMsgsPerSubject, MaxMsgSize: s.MaxMsgSize, MaxConsumers: s.MaxConsumers,
		NoAck: s.NoAck, Sealed: s.Sealed, DenyDelete: s.DenyDelete, DenyPurge: s.DenyPurge,
		AllowDirect: s.AllowDirect, MirrorDirect: s.MirrorDirect, AllowRollup: s.AllowRollup, AllowMsgTTL: s.AllowMsgTTL,
		AllowMsgSchedules: s.AllowMsgSchedules, AllowMsgCounter: s.AllowMsgCounter, AllowAtomicPublish: s.AllowAtomicPublish,
		// The resource's own defaults, where a field is left out.
		Storage: jetstream.MemoryStorage,
	}
	if s.Storage == "file" {
		cfg.Storage = jetstream.FileStorage
	}
	if s.Retention == "workqueue" {
		cfg.Retention = jetstream.WorkQueuePolicy
	}
	if s.Discard == "new" {
		cfg.Discard = jetstream.DiscardNew
	}
	if s.MaxAge == "" {
		return cfg, nil
	}
	var err error
	cfg.MaxAge, err = time.ParseDuration(s.MaxAge)
	return cfg, err
}

func (r *Rendered) checkConsumer(f *faultList, o Object, want map[string]jetstream.ConsumerConfig) {
	v, err := as[struct {
		Spec consumerSpec `json:"spec"`
	}](o)
	if err != nil {
		f.add("%v", err)
		return
	}
	s := v.Spec
	w, ok := want[s.StreamName]
	if !ok {
		f.add("%s: on %s, which needs none", o, s.StreamName)
		return
	}
	delete(want, s.StreamName)
	if !s.PreventDelete || !s.PreventUpdate {
		f.add("%s: preventDelete and preventUpdate must be true", o)
	}
	compare(f, o.String(), s.config(), w)
}

func (s consumerSpec) config() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: s.DurableName, Description: s.Description, FilterSubject: s.FilterSubject, FilterSubjects: s.FilterSubjects, MaxDeliver: s.MaxDeliver,
		MaxAckPending: s.MaxAckPending, Replicas: s.Replicas, MemoryStorage: s.MemStorage, HeadersOnly: s.HeadersOnly,
		// The resource's own defaults, where a field is left out.
		AckPolicy: jetstream.AckNonePolicy, AckWait: 1,
	}
	if s.AckPolicy == "explicit" {
		cfg.AckPolicy = jetstream.AckExplicitPolicy
	}
	if s.DeliverPolicy != "all" {
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	if s.ReplayPolicy != "instant" {
		cfg.ReplayPolicy = jetstream.ReplayOriginalPolicy
	}
	if d, err := time.ParseDuration(s.AckWait); err == nil {
		cfg.AckWait = d
	}
	return cfg
}

// compare adds a line for each field that differs.
func compare[C any](f *faultList, what string, got, want C) {
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			f.add("%s: %s is %v, must be %v", what, g.Type().Field(i).Name, g.Field(i).Interface(), w.Field(i).Interface())
		}
	}
}
