package broker

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The functions here show a setting as a person reads it, and so that two ways
// of writing the same thing (no limit as 0 or -1) look the same.

func filters(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return append([]string{c.FilterSubject}, c.FilterSubjects...)
	}
	return c.FilterSubjects
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func list(names []string) string {
	if len(names) == 0 {
		return "all"
	}
	return strings.Join(slices.Sorted(slices.Values(names)), " ")
}

func transform(t *jetstream.SubjectTransformConfig) string {
	if t == nil {
		return "none"
	}
	return t.Source + " to " + t.Destination
}

func origin(s *jetstream.StreamSource) string {
	if s == nil {
		return "none"
	}
	return "copying from " + s.Name
}

func origins(all []*jetstream.StreamSource) string {
	if len(all) == 0 {
		return "none"
	}
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Name
	}
	return "copying from " + list(names)
}

func republished(r *jetstream.RePublish) string {
	if r == nil {
		return "none"
	}
	return "to " + r.Destination
}

func consumerLimits(l jetstream.StreamConsumerLimits) string {
	if l == (jetstream.StreamConsumerLimits{}) {
		return "none"
	}
	return "inactive threshold " + age(l.InactiveThreshold) + ", max ack pending " + limit(int64(l.MaxAckPending))
}

// duplicateWindow is the server's default, which the contract promises.
const duplicateWindow = 2 * time.Minute

func window(d time.Duration) string {
	if d == 0 {
		d = duplicateWindow
	}
	return d.String()
}

// defaultWaiting is how many pulls may wait where nothing is said.
const defaultWaiting = 512

func waiting(n int) string {
	if n == 0 {
		n = defaultWaiting
	}
	return strconv.Itoa(n)
}

// from is where a consumer begins.
func from(c jetstream.ConsumerConfig) string {
	at := c.DeliverPolicy.String()
	if c.OptStartSeq > 0 {
		at += " " + strconv.FormatUint(c.OptStartSeq, 10)
	}
	if c.OptStartTime != nil {
		at += " " + c.OptStartTime.UTC().Format(time.RFC3339)
	}
	return at
}

func priority(c jetstream.ConsumerConfig) string {
	if c.PriorityPolicy == jetstream.PriorityPolicyNone && len(c.PriorityGroups) == 0 && c.PinnedTTL == 0 {
		return "none"
	}
	return "groups " + list(c.PriorityGroups)
}

func limit(n int64) string {
	if n <= 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

func age(d time.Duration) string {
	if d <= 0 {
		return "none"
	}
	return d.String()
}

func spacing(steps []time.Duration) string {
	if len(steps) == 0 {
		return "none"
	}
	return strconv.Itoa(len(steps)) + " steps"
}

func delivery(subject string) string {
	if subject == "" {
		return "pull"
	}
	return "push"
}

// lower reports whether the limit want is tighter than the limit is, where
// nothing above zero means no limit.
func lower(is, want int64) bool {
	return want > 0 && (is <= 0 || want < is)
}
