package events

import "strings"

// Message is what travels over a stream, free of any client library: a
// subject, headers (names as they came) and data.
type Message struct {
	Subject string
	Header  map[string][]string
	Data    []byte
}

// isStructured reports whether a message is read as a structured CloudEvent: a
// structured Content-Type wins over ce- headers, and a message without
// ce-specversion is structured whatever its Content-Type says.
func isStructured(m Message) bool {
	return isCloudEventsType(header(m, "content-type")) || header(m, "ce-specversion") == ""
}

// isBatch reports whether a Content-Type announces several events at once.
func isBatch(contentType string) bool {
	return hasFoldPrefix(contentType, "application/cloudevents-batch")
}

func isCloudEventsType(contentType string) bool {
	return hasFoldPrefix(contentType, "application/cloudevents")
}

func hasFoldPrefix(s, prefix string) bool {
	s = strings.TrimLeft(s, " \t")
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// header returns the first value of a header, whatever the case of its name.
// The name is given in lower case.
func header(m Message, name string) string {
	if v := m.Header[name]; len(v) > 0 {
		return v[0]
	}
	for k, v := range m.Header {
		if len(k) == len(name) && len(v) > 0 && strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}
