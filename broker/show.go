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
		return []string{c.FilterSubject}
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
